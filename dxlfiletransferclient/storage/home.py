"""What all files under way of one store have in common."""

from dataclasses import dataclass

from dxlfiletransferclient.storage.checkpoints import CheckpointPolicy
from dxlfiletransferclient.storage.descriptors import Descriptors
from dxlfiletransferclient.storage.directory import Directory


@dataclass(frozen=True, slots=True)
class Home:
    """Where files under way live, and how often they are flushed.

    Attributes:
        directory: The working directory.
        descriptors: Opens its files.
        policy: How often each file is flushed.
    """

    directory: Directory
    descriptors: Descriptors
    policy: CheckpointPolicy
