import Foundation
import MatrixCore
import Safetensors

/// What identifies an input without reading all of it: for each file its size, its time of change, and a digest of
/// samples of its content.
///
/// Files up to 4 MiB are read whole. Of longer ones the first MiB is read, which holds the header of a tensor file, the
/// last 64 KiB, and 256 blocks of 4 KiB at even distances. A change that keeps the size and the time and misses every
/// sample goes unseen; only an edit of a tensor in place with the clock turned back does that.
public struct InputFingerprint: Equatable, Sendable {
    /// One file of the input.
    public struct File: Equatable, Sendable {
        /// Relative to the input; the last component of the path for a single file.
        public let name: String
        public let bytes: Int
        /// Nanoseconds since 1970.
        public let modified: Int
        /// SHA-256 of the samples.
        public let digest: String
    }

    /// Sorted by name.
    public let files: [File]

    private static let wholeBytes = 4 << 20, headBytes = 1 << 20, tailBytes = 64 << 10
    private static let sampleBytes = 4 << 10, samples = 256

    /// - Parameter path: A file, or a folder, whose files are taken without hidden ones and without folders inside it.
    /// - Throws: `FileError` if something cannot be read.
    public init(of path: String) throws(FileError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError(.open, path, code: errno) }
        if status.st_mode & S_IFMT == S_IFDIR {
            var files: [File] = []
            for name in try FileSystem.names(in: path) where !name.hasPrefix(".") {
                // Links to files count as files: model caches are made of them.
                var status = stat()
                let isFile = stat("\(path)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
                if isFile { files.append(try Self.file("\(path)/\(name)", name: name, status)) }
            }
            self.files = files
        } else {
            files = [try Self.file(path, name: URL(fileURLWithPath: path).lastPathComponent, status)]
        }
    }

    /// The same for equal content, wherever and whenever it was stored: a digest of names, sizes and samples.
    public var contentDigest: String {
        Self.digest(of: files.map { "\($0.name)\0\($0.bytes)\0\($0.digest)\n" }.joined())
    }

    /// The form that `RunFingerprint.inputs` takes.
    /// - Parameter role: Put before each name, to keep the files of two inputs apart: `reference/`.
    public func entries(role: String = "") -> [String: String] {
        let entries = files.map { (role + $0.name, "\($0.bytes) bytes, \($0.modified) ns, \($0.digest)") }
        return Dictionary(entries) { first, _ in first }
    }

    private static func file(_ path: String, name: String, _ status: stat) throws(FileError) -> File {
        let file = try OpenFile(path: path)
        var hash = SHA256()
        for range in ranges(of: file.byteCount) {
            let content = try file.bytes(in: range)
            hash.update(UnsafeRawBufferPointer(start: content.base, count: range.count))
        }
        #if canImport(Darwin)
        let time = status.st_mtimespec
        #else
        let time = status.st_mtim
        #endif
        return File(
            name: name, bytes: file.byteCount, modified: Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec),
            digest: hash.finish())
    }

    /// The parts of a file of `count` bytes that are read, in order.
    private static func ranges(of count: Int) -> [Range<Int>] {
        if count <= wholeBytes { return [0..<count] }
        let body = headBytes..<(count - tailBytes - sampleBytes)
        let samples = (0..<samples).map { index in
            let start = body.lowerBound + body.count / Self.samples * index
            return start..<start + sampleBytes
        }
        return [0..<headBytes] + samples + [count - tailBytes..<count]
    }

    private static func digest(of text: String) -> String {
        Array(text.utf8).withUnsafeBytes { SHA256.hex(of: $0) }
    }
}
