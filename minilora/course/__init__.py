"""The course's notebooks: made from sources in py:percent, executed, and tidied for those who read them on the web.

source.py reads a source, execute.py runs it, tidy.py leaves out what a page on the web cannot show, build.py does all three, and
outline.py reads a notebook's first and last cell. What the exercises need is in minilora/classroom/.
"""
