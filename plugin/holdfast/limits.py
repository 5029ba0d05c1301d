"""The bound of the numbers that people give to commands, by an option or by a variable. Cold."""

MOST = 10**9  # of seconds some 30 years: no clock and no sleep overflows
