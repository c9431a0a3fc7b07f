"""The command line, one file a command. See design section 6."""
