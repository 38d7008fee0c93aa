"""The report: what happened at stubs, as one HTML page that needs nothing else.

``facts`` gathers it as plain data, ``page`` renders that.  Nothing here moves a stub.
"""
