import Foundation

/// Writes bytes at an offset, however many calls it takes.
/// - Throws: `FileError`, for instance where the disk is full.
public func writeAll(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int, path: String
) throws(FileError) {
    try moveAll(bytes.count, .write, path, codeOfNothing: ENOSPC) { done, count in
        pwrite(descriptor, bytes.baseAddress.map { $0 + done }, count, off_t(offset + done))
    }
}

/// Fills memory with the bytes at an offset, however many calls it takes.
/// - Throws: `FileError`, with code 0 where the file ends first.
public func readAll(
    into memory: UnsafeMutableRawBufferPointer, from descriptor: Int32, at offset: Int, path: String
) throws(FileError) {
    try moveAll(memory.count, .read, path, codeOfNothing: 0) { done, count in
        pread(descriptor, memory.baseAddress.map { $0 + done }, count, off_t(offset + done))
    }
}

/// Calls `move` until all bytes are moved: one call moves at most 2 GiB on Linux and fails above that on macOS.
/// - Parameter codeOfNothing: what is wrong where a call moves nothing and states no error.
private func moveAll(
    _ count: Int, _ operation: FileError.Operation, _ path: String, codeOfNothing: Int32,
    _ move: (_ done: Int, _ count: Int) -> Int
) throws(FileError) {
    var done = 0
    while done < count {
        let moved = move(done, min(count - done, 1 << 30))
        if moved < 0, errno == EINTR { continue }
        guard moved > 0 else { throw FileError(operation, path, code: moved < 0 ? errno : codeOfNothing) }
        done += moved
    }
}
