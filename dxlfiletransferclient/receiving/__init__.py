"""Receiving: files of a service come whole under their names here, and go on after any crash.

================  ====================================================================
``receiver``      gets files and trees, lists, looks at and removes what is stored
``options``       every number and choice of a download
``download``      one call, from what is wanted to what became of it
``wanted``        what a caller wants, and where it goes
``stores``        the stores behind one topic, one of which has what is wanted
``finding``       turns what is wanted into jobs
``listing``       the entries of directories, page by page (no input or output)
``call``          what all jobs of one call share
``questions``     a job that asks small questions (no input or output)
``filejob``       a job that gets one file by ranges
``smallfiles``    a job that gets many small files, each in one message
``existing``      what an older file under the name means (no input or output)
``older``         reads an older file to compare it
``target``        the directory below which files appear, and the ways that lead there
``part``          the hidden file beside the target that is written to
``partfile``      the same, by offset and with checkpoints
``checkpoints``   what a checkpoint looks like on the disk (no input or output)
``publications``  what is about to get its name
``publishing``    gives files their names, many with one flush
``locking``       keeps two processes from one part file
``errors``        what can go wrong on this machine
================  ====================================================================
"""
