"""What is known about files."""

from dam_fs.models.derived import DerivedObjectComponent
from dam_fs.models.files import (
    FileLocationComponent,
    FilePropertiesComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
    StorageType,
    path_key,
)
from dam_fs.models.hashes import ContentHashMd5Component, ContentHashSha256Component
from dam_fs.models.store import Store

__all__ = [
    "ContentHashMd5Component",
    "ContentHashSha256Component",
    "DerivedObjectComponent",
    "FileLocationComponent",
    "FilePropertiesComponent",
    "LocationCondition",
    "OriginalSourceInfoComponent",
    "StorageType",
    "Store",
    "path_key",
]
