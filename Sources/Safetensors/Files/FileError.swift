import Foundation

/// A system call on a file that failed.
public struct FileError: Error, Equatable, Sendable {
    public enum Operation: String, Sendable {
        case open, read, map, create, write, sync, rename, remove, list
    }

    public let operation: Operation
    public let path: String
    /// `errno` of the call; 0 where the file ended before what was asked for.
    public let code: Int32

    public init(_ operation: Operation, _ path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    public var isMissingFile: Bool { code == ENOENT || code == ENOTDIR || code == ENAMETOOLONG }
    /// A folder, a pipe or a device was given to be read.
    public var isNoFile: Bool { operation == .open && (code == EISDIR || code == EINVAL) }
    public var isOutOfSpace: Bool { code == ENOSPC || code == EDQUOT }
    public var isPermissionDenied: Bool { code == EACCES || code == EPERM || code == EROFS }
}

extension FileError: CustomStringConvertible {
    public var description: String {
        "\(path): cannot \(operation.rawValue): \(reason)"
    }

    private var reason: String {
        if code == 0 { return "the file is shorter than it was" }
        // What the system says of an argument tells nobody that pipes are meant.
        return isNoFile && code == EINVAL ? "not a regular file" : String(cString: strerror(code))
    }
}
