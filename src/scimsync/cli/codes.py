"""Exit codes that are not errors; those of errors stand with the exceptions in `errors`."""

#: plan has changes (only with --detailed-exitcode)
HAS_CHANGES = 10
#: finished with some changes held or failed
NOT_ALL_DONE = 11
