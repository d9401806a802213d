"""The pages, the server and the command line."""
