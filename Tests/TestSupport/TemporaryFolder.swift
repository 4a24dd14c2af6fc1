import Foundation

/// A folder of its own for one test, removed with the last reference.
public final class TemporaryFolder {
    public let path: String

    public init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("lowrank-test-" + UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of a name in this folder.
    public func at(_ name: String) -> String { path + "/" + name }

    /// Writes a file and gives its path.
    public func write(_ bytes: [UInt8], as name: String = "model.safetensors") throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: at(name)))
        return at(name)
    }

    public func write(_ text: String, as name: String) throws -> String {
        try write(Array(text.utf8), as: name)
    }

    public func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }
}
