"""The file plugin."""

from dam.core.plugin import Plugin
from dam.core.world import World
from dam_fs import models
from dam_fs.resources import FileOperationsResource, storage_of
from dam_fs.settings import FsSettings, FsSettingsComponent
from dam_fs.systems.content_systems import FileOpener
from dam_fs.systems.disposal_systems import Deletions, ReleaseDerived, ReleaseFiles
from dam_fs.systems.export_systems import export_assets
from dam_fs.systems.gc_systems import collect
from dam_fs.systems.ingest_systems import add_assets
from dam_fs.systems.rebuild_systems import rebuild
from dam_fs.systems.repair_systems import repair
from dam_fs.systems.transfer_systems import files_are_there, transfer_derived, transfer_files
from dam_fs.systems.verify_systems import verify


class FsPlugin(Plugin):
    """Files: where they lie, what they are called, and how they come in."""

    Settings = FsSettings
    SettingsComponent = FsSettingsComponent

    def build(self, world: World) -> None:
        for component in (
            models.FilePropertiesComponent,
            models.ContentHashSha256Component,
            models.ContentHashMd5Component,
            models.FileLocationComponent,
            models.OriginalSourceInfoComponent,
        ):
            world.register_component(component)
        files = FileOperationsResource(storage_of(world.settings_of(FsSettings), world.config))
        world.add_resource(files)
        world.register_opener(models.FileLocationComponent, FileOpener(files), cost=10)
        world.register_transfer(models.FileLocationComponent, transfer_files, is_there=files_are_there)
        world.register_transfer(models.DerivedObjectComponent, transfer_derived, essential=False)
        deletions = Deletions()
        world.add_resource(deletions)
        world.register_release(models.FileLocationComponent, ReleaseFiles(deletions))
        world.register_release(models.DerivedObjectComponent, ReleaseDerived(deletions))
        for each in (add_assets, export_assets, verify, repair, collect, rebuild):
            world.register_system(each)
