import Foundation
import MatrixCore

/// A file opened for reading: its size, its bytes by position, and its pages mapped into memory.
///
/// Safe to use from several threads, because every read names its position. Closed with the last reference.
public final class OpenFile: Sendable {
    public let path: String
    /// Size in bytes when the file was opened.
    public let byteCount: Int
    private let descriptor: Int32

    /// - Throws: `FileError` where the file is missing, not a regular file or not readable.
    public init(path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(.open, path, code: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw FileError(.open, path, code: code)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileError(.open, path, code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
        }
        self.path = path
        self.descriptor = descriptor
        byteCount = Int(status.st_size)
    }

    deinit {
        close(descriptor)
    }

    /// Fills memory with the bytes at an offset.
    ///
    /// - Throws: `FileError`, with code 0 where the file ends first.
    public func read(into memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) {
        try readAll(into: memory, from: descriptor, at: offset, path: path)
    }

    /// Tells the system that a range will be read soon, so that it comes from the disk while others are computed with.
    public func prefetch(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        // Only a hint: a failure changes speed, not results.
        #if canImport(Darwin)
            var advice = radvisory(ra_offset: off_t(range.lowerBound), ra_count: Int32(clamping: range.count))
            _ = fcntl(descriptor, F_RDADVISE, &advice)
        #else
            _ = posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_WILLNEED)
        #endif
    }

    /// The bytes of a range in memory of their own.
    public func bytes(in range: Range<Int>) throws(FileError) -> AlignedBuffer<UInt8> {
        let buffer = AlignedBuffer<UInt8>(uninitializedCount: range.count)
        try read(into: UnsafeMutableRawBufferPointer(start: buffer.base, count: range.count), at: range.lowerBound)
        return buffer
    }

    /// The whole file in memory of its own.
    public static func contents(of path: String) throws(FileError) -> AlignedBuffer<UInt8> {
        let file = try OpenFile(path: path)
        return try file.bytes(in: 0..<file.byteCount)
    }

    /// The whole file as read-only pages; nil for an empty file, which cannot be mapped.
    public func mapped() throws(FileError) -> MappedFile? {
        guard byteCount > 0 else { return nil }
        let address = mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw FileError(.map, path, code: errno) }
        return MappedFile(base: UnsafeRawPointer(address), byteCount: byteCount)
    }
}

/// The pages of a file in the address space, unmapped with the last reference.
///
/// A file that another process cuts short while it is mapped ends this process with a bus error when the missing pages
/// are read; reading without mapping is the way around.
public final class MappedFile: @unchecked Sendable {
    public let base: UnsafeRawPointer
    public let byteCount: Int

    init(base: UnsafeRawPointer, byteCount: Int) {
        self.base = base
        self.byteCount = byteCount
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: base), byteCount)
    }

    /// Tells the system that a range will be read soon.
    public func prefetch(_ range: Range<Int>) {
        advise(outerPages(of: range), MADV_WILLNEED)
    }

    /// Tells the system that a range is not needed any more; reading it again reads the file again.
    ///
    /// Only pages that lie wholly inside the range are dropped, so neighbours keep theirs.
    public func dropPages(_ range: Range<Int>) {
        advise(innerPages(of: range), MADV_DONTNEED)
    }

    private func advise(_ range: Range<Int>, _ advice: Int32) {
        guard !range.isEmpty else { return }
        // Only a hint: a failure changes speed or memory, not results.
        _ = madvise(UnsafeMutableRawPointer(mutating: base + range.lowerBound), range.count, advice)
    }

    private func outerPages(of range: Range<Int>) -> Range<Int> {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        return range.lowerBound / page * page..<min((range.upperBound + page - 1) / page * page, byteCount)
    }

    private func innerPages(of range: Range<Int>) -> Range<Int> {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = (range.lowerBound + page - 1) / page * page
        let end = range.upperBound == byteCount ? byteCount : range.upperBound / page * page
        return start..<max(start, end)
    }
}
