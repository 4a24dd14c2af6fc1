import CommandLineKit

/// How commands that read checkpoints reach their files.
enum ReadingOptions {
    /// Heeded by `Program` for every command that declares it.
    static let noMapping = Flag(
        "no-mmap", help: "Read files instead of mapping them into memory: for network and other slow file systems")
}
