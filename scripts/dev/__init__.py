"""Tools for developers; neither packaged nor in the image."""
