"""What `rnnframe new` writes: a plugin and its tests of each kind, and the files around them.

The modules are working plugins named `example`, which the author's name takes the place of; so they are linted and
type-checked as all code is. "KIND" and "OPTIONS" stand for the kind of plugin and how a command is told to use it.
"""
