"""One library function for each command, no terminal; of a package, its module `command` has it."""
