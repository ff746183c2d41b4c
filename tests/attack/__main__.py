"""`python -m tests.attack`: run the campaign, or print its table."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from attack.campaign import main

sys.exit(main())
