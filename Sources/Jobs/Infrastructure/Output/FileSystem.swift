import Foundation
import Safetensors

/// The few things that staging an output asks of the file system, each an error with path and cause where it fails.
enum FileSystem {
    /// What stands at a path.
    enum Entry: Equatable {
        case file(bytes: Int)
        case folder
        case link
        case other
    }

    /// nil where there is nothing. A link is not followed.
    static func entry(at path: String) throws(FileError) -> Entry? {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG { return nil }
            throw FileError(.read, path, code: errno)
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file(bytes: Int(status.st_size))
        case S_IFDIR: return .folder
        case S_IFLNK: return .link
        default: return .other
        }
    }

    /// Names in a folder, sorted, without `.` and `..`.
    static func names(in folder: String) throws(FileError) -> [String] {
        guard let stream = opendir(folder) else { throw FileError(.list, folder, code: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes a folder; one that is there is fine.
    /// - Returns: Whether it was made now.
    @discardableResult
    static func makeFolder(_ path: String) throws(FileError) -> Bool {
        if mkdir(path, 0o777) == 0 { return true }
        guard errno == EEXIST else { throw FileError(.create, path, code: errno) }
        guard try entry(at: path) == .folder else { throw FileError(.create, path, code: ENOTDIR) }
        return false
    }

    static func rename(_ source: String, to target: String) throws(FileError) {
        guard Foundation.rename(source, target) == 0 else { throw FileError(.rename, target, code: errno) }
    }

    /// Gives a file a second name, so that it stays when the first is removed; where the file system has no such names,
    /// the file goes to the new one.
    static func link(_ source: String, to target: String) throws(FileError) {
        if Foundation.link(source, target) == 0 { return }
        guard [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(errno) else { throw FileError(.create, target, code: errno) }
        try rename(source, to: target)
    }

    /// Exchanges two entries in one step, so that both names always have something.
    /// - Returns: false where the system or its file system cannot; nothing has happened then.
    static func exchange(_ a: String, _ b: String) throws(FileError) -> Bool {
        #if canImport(Darwin)
        let result = renamex_np(a, b, UInt32(RENAME_SWAP))
        #else
        // Swift's import of the C library leaves this call out.
        typealias Rename = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
        let exchangeFlag: UInt32 = 2  // RENAME_EXCHANGE
        guard let symbol = dlsym(nil, "renameat2") else { return false }
        let result = unsafeBitCast(symbol, to: Rename.self)(AT_FDCWD, a, AT_FDCWD, b, exchangeFlag)
        #endif
        if result == 0 { return true }
        if [ENOSYS, EINVAL, ENOTSUP].contains(errno) { return false }
        throw FileError(.rename, b, code: errno)
    }

    /// Removes a file, a link, or a folder with everything in it; nothing there is fine.
    static func removeTree(_ path: String) throws(FileError) {
        if try entry(at: path) == .folder {
            for name in try names(in: path) { try removeTree("\(path)/\(name)") }
            guard rmdir(path) == 0 || errno == ENOENT else { throw FileError(.remove, path, code: errno) }
        } else {
            guard unlink(path) == 0 || errno == ENOENT else { throw FileError(.remove, path, code: errno) }
        }
    }

    /// Forces a file, or a folder with everything in it, to the disk.
    static func synchroniseTree(_ path: String) throws(FileError) {
        let kind = try entry(at: path)
        guard kind == .folder || kind.map(isFile) ?? false else { return }
        if kind == .folder {
            for name in try names(in: path) { try synchroniseTree("\(path)/\(name)") }
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(.sync, path, code: errno) }
        defer { close(descriptor) }
        // Some file systems cannot force a folder; the names are then as safe as they make them.
        guard fsync(descriptor) == 0 || (kind == .folder && (errno == EINVAL || errno == ENOTSUP)) else {
            throw FileError(.sync, path, code: errno)
        }
    }

    private static func isFile(_ entry: Entry) -> Bool {
        if case .file = entry { true } else { false }
    }
}
