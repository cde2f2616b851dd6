"""Pictures: frames are arrays and captions first, drawings second.

A module tells what is shown (arrays, numbers, sentences; tests read these) and how it is drawn (matplotlib). All that
`minilora figures` draws is listed in `minilora/gallery.py`.
"""
