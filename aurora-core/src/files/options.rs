use std::time::Duration;

/// What files may be and take. The defaults are the written ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileOptions {
    /// The largest file, in bytes; a bucket's own limit counts where it is lower. 50 MiB, as Supabase has it: a phone's
    /// video is more, and its host says so.
    pub largest: u64,
    /// What the files of one user may take together, in bytes. 1 GiB: twenty of the largest (ASVS 5.2.4). `None`:
    /// whatever the disk holds. What the service itself stores is not counted.
    pub quota: Option<u64>,
    /// How many files one user may have. 10,000.
    pub quota_files: Option<u64>,
    /// How many uploads one user may have on their way at once, in each process; whoever is not signed in counts as one.
    /// 100: a browser sends six.
    pub uploads_at_once: usize,
    /// How many resumable uploads one user may have begun and not finished. 100.
    pub unfinished_uploads: u64,
    /// How long what no row names is left alone before it is swept: longer than any upload takes. One day.
    pub grace: Duration,
    /// How long a resumable upload waits for its next part. One day, as Supabase has it.
    pub upload_lifetime: Duration,
    /// The longest that a signed URL is good. One year.
    pub longest_signature: Duration,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            largest: 50 * 1024 * 1024,
            quota: Some(1024 * 1024 * 1024),
            quota_files: Some(10_000),
            uploads_at_once: 100,
            unfinished_uploads: 100,
            grace: Duration::from_secs(86_400),
            upload_lifetime: Duration::from_secs(86_400),
            longest_signature: Duration::from_secs(365 * 86_400),
        }
    }
}
