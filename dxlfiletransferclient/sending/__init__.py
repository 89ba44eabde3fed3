"""Files and streams on their way to a service.

=================  ==================================================================
``options``        what a caller may choose
``naming``         which names sources get on the service
``scan``           paths to what there is to send, one after another
``counting``       how much there is to send in all, counted on the side
``identity``       ids of files under way, the same for the same file
``source``         files, opened for sending
``streamsource``   streams that can be read only once
``remaining``      which bytes are to be sent yet (no input or output)
``filejob``        the conversation about one file or stream (no input or output)
``ending``         how it ended
``pacing``         how often and how soon a service is given something again
``batching``       small files, collected for one message (no input or output)
``batchjob``       the conversation about one batch (no input or output)
``aborting``       having a service drop what nobody will go on with
``itemjobs``       makes jobs of what there is to send
``call``           what the jobs of one call share
``sender``         all of it together, over an engine
``reports``        acknowledged bytes as the segments that callers of version 0.1 hear of
``requester``      what sends single files, with the results and callbacks of version 0.1
``version1``       sends to a service that speaks version 1 only
``version2``       sends single files as a requester does, by version 2
``ways``           which version of the wire a call goes by
=================  ==================================================================
"""
