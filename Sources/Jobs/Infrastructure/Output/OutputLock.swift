import Foundation
import Safetensors

/// The right to write one output. It ends with the process that holds it, however that ends.
///
/// The lock is on a file inside the staging folder, so it leaves nothing behind that the staging folder does not. A
/// second run that comes while the first is cleaning up may lock a file that is no longer the one at the path; it sees
/// that and starts over.
final class OutputLock {
    private let descriptor: Int32

    /// Makes the staging folder if need be, and takes the lock.
    /// - Throws: `JobError.outputLocked` if another run has it; `FileError` if the system refuses.
    init(_ output: OutputPath) throws {
        let path = output.staging + "/lock"
        while true {
            try FileSystem.makeFolder(output.staging)
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
            if descriptor < 0 {
                if errno == ENOENT { continue }
                throw FileError(.create, path, code: errno)
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let code = errno
                defer { close(descriptor) }
                guard code == EWOULDBLOCK else { throw FileError(.create, path, code: code) }
                throw JobError.outputLocked(output.given, holder: Self.holder(descriptor))
            }
            if Self.isStill(descriptor, at: path) {
                self.descriptor = descriptor
                break
            }
            close(descriptor)
        }
        Self.write(String(getpid()), to: descriptor)
    }

    /// Unlocks by name: a program that is being started shares the descriptor for a moment, and would keep the lock.
    deinit {
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    private static func isStill(_ descriptor: Int32, at path: String) -> Bool {
        var held = stat(), found = stat()
        return fstat(descriptor, &held) == 0 && lstat(path, &found) == 0 && held.st_ino == found.st_ino
            && held.st_dev == found.st_dev
    }

    /// The process number that the holder wrote; nil in the instant before it does.
    private static func holder(_ descriptor: Int32) -> Int? {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? Int(String(decoding: bytes.prefix(count), as: UTF8.self)) : nil
    }

    /// Only for the message of another run: a failure changes nothing.
    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, bytes, bytes.count, 0) }
    }
}
