"""The pure core: types, errors and arithmetic. Imports only the standard library and numpy."""
