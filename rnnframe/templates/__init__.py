"""What `rnnframe new` writes: a plugin and its tests of each kind, and the files around them.

The modules are working plugins named `example`; the name of the author replaces it. So they are linted and type-checked
as all code is. "KIND" stands for the kind of plugin, "COMMAND" for a command that uses it, "NEEDS" for what it depends
on.
"""
