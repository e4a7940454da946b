"""The only shared test code."""
