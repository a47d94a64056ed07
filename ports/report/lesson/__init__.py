"""The lesson as one HTML file: templates, a style sheet, a script, and the words of each language."""
