"""What both ends of the control API agree on, and the client that calls it.

=================  ====================================================
``constants``      values that commands take and structures hold
``names``          topics
``errors``         what a call can fail with
``configuration``  where programs find their client configuration
``dialing``        makes the connection
``serverchoice``   which server is meant (no input or output)
``caller``         finds the server and calls its commands
``callcoding``     arguments and results as JSON (no input or output)
``paging``         long lists, page by page (no input or output)
=================  ====================================================
"""
