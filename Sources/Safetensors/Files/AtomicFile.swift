import Foundation

/// A file that appears under its name only when it is complete.
///
/// It is written beside its final place under a name that ends in `.partial`, forced to the disk, and then renamed;
/// what had the name before is there, whole, until that moment. A file that is not finished is removed with the last
/// reference. Parts may be written in any order, from one thread.
public final class AtomicFile {
    /// When the content is forced to the disk.
    public enum Durability: Sendable {
        /// Before the file gets its name.
        case immediate
        /// By the caller, together with other files: until then a loss of power may lose it, under its name too.
        case deferred
    }

    public let path: String
    private let durability: Durability
    private let temporaryPath: String
    private var descriptor: Int32

    /// - Throws: `FileError` where the file cannot be created.
    public init(path: String, durability: Durability = .immediate) throws(FileError) {
        self.path = path
        self.durability = durability
        temporaryPath = path + ".partial"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(.create, path, code: errno) }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(temporaryPath)
    }

    /// Writes a whole file.
    public static func write(
        _ bytes: UnsafeRawBufferPointer, to path: String, durability: Durability = .immediate
    ) throws(FileError) {
        let file = try AtomicFile(path: path, durability: durability)
        try file.write(bytes, at: 0)
        try file.finish()
    }

    public static func write(
        _ text: String, to path: String, durability: Durability = .immediate
    ) throws(FileError) {
        let bytes = Array(text.utf8)
        try bytes.withUnsafeBufferPointer { (bytes) throws(FileError) in
            try write(UnsafeRawBufferPointer(bytes), to: path, durability: durability)
        }
    }

    /// - Throws: `FileError`, for instance where the disk is full.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try writeAll(bytes, to: descriptor, at: offset, path: path)
    }

    /// Forces everything to the disk, unless that is deferred, and gives the file its name.
    public func finish() throws(FileError) {
        if durability == .immediate, synchronise(descriptor) != 0 { throw FileError(.sync, path, code: errno) }
        // The descriptor is gone even where closing reports an error.
        let closed = close(descriptor)
        descriptor = -1
        guard closed == 0 else { throw failure(.write) }
        guard rename(temporaryPath, path) == 0 else { throw failure(.rename) }
        if durability == .immediate { try synchroniseFolder(of: path) }
    }

    /// The error of the last call, after the temporary file is removed.
    private func failure(_ operation: FileError.Operation) -> FileError {
        let code = errno
        unlink(temporaryPath)
        return FileError(operation, path, code: code)
    }
}

/// Forces a new name in a folder to the disk.
public func synchroniseFolder(of path: String) throws(FileError) {
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(.sync, folder, code: errno) }
    defer { close(descriptor) }
    // Some file systems cannot force a folder; the name is then as safe as they make it.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
        throw FileError(.sync, folder, code: errno)
    }
}

private func synchronise(_ descriptor: Int32) -> Int32 {
    #if canImport(Darwin)
        // fsync leaves the data in the drive's cache there.
        return fcntl(descriptor, F_FULLFSYNC) == -1 ? fsync(descriptor) : 0
    #else
        return fsync(descriptor)
    #endif
}
