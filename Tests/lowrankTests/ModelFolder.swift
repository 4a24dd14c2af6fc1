import Foundation
import Safetensors
import TestSupport

/// A scratch folder with the fixture in reach, removed with the last reference.
final class ModelFolder {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    var url: URL { URL(fileURLWithPath: folder.path) }

    static let packageRoot = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The trained fixture (Llama, bf16).
    static let fixture = packageRoot.appendingPathComponent("Fixtures/tiny-llama").path

    func at(_ name: String) -> String { folder.at(name) }

    /// A copy of the fixture.
    func copyOfFixture(_ name: String = "model") throws -> String {
        try FileManager.default.copyItem(atPath: Self.fixture, toPath: at(name))
        return at(name)
    }

    /// Everything below a folder but reports, by relative path.
    func content(of name: String) throws -> [String: Data] {
        var content: [String: Data] = [:]
        for item in try FileManager.default.subpathsOfDirectory(atPath: at(name)) where !item.hasPrefix("report.") {
            content[item] = FileManager.default.contents(atPath: at(name) + "/" + item)
        }
        return content
    }

    var names: [String] {
        get throws { try folder.names() }
    }

    func report(of name: String) throws -> JSON { try JSON.parse(file: at(name) + "/report.json") }
}
