import Foundation
import Safetensors

/// A file without a name, for what is larger than memory and needed by this process alone: it goes with the process,
/// however that ends.
final class UnnamedFile {
    /// For messages.
    private let folder: String
    private let descriptor: Int32

    /// - Throws: `FileError` where no file can be made in the folder.
    init(in folder: String) throws(FileError) {
        self.folder = folder
        descriptor = Self.descriptor(in: folder)
        guard descriptor >= 0 else { throw FileError(.create, folder, code: errno) }
    }

    #if os(Linux)
    /// O_TMPFILE of open(2), a macro that Swift does not see; the same on x86-64 and arm64.
    private static let withoutName = 0o20000000 | O_DIRECTORY
    #endif

    /// A file that never has a name where the system can make one, otherwise for as long as it takes to remove it.
    private static func descriptor(in folder: String) -> Int32 {
        #if os(Linux)
        let unnamed = open(folder, Self.withoutName | O_RDWR | O_CLOEXEC, 0o600)
        if unnamed >= 0 { return unnamed }
        #endif
        var path = Array((folder + "/.lowrank-XXXXXX").utf8CString)
        let named = mkstemp(&path)
        guard named >= 0 else { return named }
        unlink(path)
        // A program that is started meanwhile would keep the file.
        _ = fcntl(named, F_SETFD, FD_CLOEXEC)
        return named
    }

    deinit {
        close(descriptor)
    }

    /// - Throws: `FileError`, for instance where the disk is full.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try writeAll(bytes, to: descriptor, at: offset, path: folder)
    }

    /// Fills memory with the bytes at an offset.
    /// - Throws: `FileError`, with code 0 where so much was not written.
    func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) {
        try readAll(into: memory, from: descriptor, at: offset, path: folder)
    }
}
