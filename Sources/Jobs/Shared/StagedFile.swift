import Foundation
import MatrixCore
import Safetensors

/// Files of an output beside its weights; the output is forced to the disk as a whole when it is done.
enum StagedFile {
    static func write(_ text: String, as name: String, in folder: String) throws {
        try AtomicFile.write(text, to: folder + "/" + name, durability: .deferred)
    }

    /// Writes a file below a folder, making the folders between them.
    static func write(_ bytes: AlignedBuffer<UInt8>, as name: String, in folder: String) throws {
        let path = folder + "/" + name
        let parent = (path as NSString).deletingLastPathComponent
        do {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        } catch {
            throw FileError(.create, parent, code: errno)
        }
        try AtomicFile.write(
            UnsafeRawBufferPointer(start: bytes.base, count: bytes.count), to: path, durability: .deferred)
    }
}
