"""Commands for people: run, test, check, the command line, and the embedded servers behind them."""
