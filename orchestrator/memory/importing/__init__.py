"""Uses of skills out of the files of hosts and other tools, brought into the usage record once."""
