"""People in front of pages: what is stored behind them, who signs in, and which pages each of them asks for."""
