use std::io::{Result, Write as _};
use std::path::Path;

/// Writes a file for its owner alone: beside it first, so that whoever looks finds the old one or the new one, whole.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = file.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Left by a start that was killed, and of whatever mode.
    drop(std::fs::remove_file(&draft));
    let mut open = options.open(&draft)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    std::fs::rename(draft, file)
}

/// A folder for its owner alone, if there is none yet.
#[cfg_attr(not(feature = "acme"), expect(dead_code, reason = "what is ordered is kept in one"))]
pub(super) fn private_folder(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
