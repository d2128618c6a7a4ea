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
from dam_fs.models.release import PendingRelease
from dam_fs.models.store import Store
from dam_fs.models.verification import DamagedDerived, VerificationPass

__all__ = [
    "ContentHashMd5Component",
    "ContentHashSha256Component",
    "DamagedDerived",
    "DerivedObjectComponent",
    "FileLocationComponent",
    "FilePropertiesComponent",
    "LocationCondition",
    "OriginalSourceInfoComponent",
    "PendingRelease",
    "StorageType",
    "Store",
    "VerificationPass",
    "path_key",
]
