import Foundation

/// Real configurations, tokenizers and checkpoints beside the package, where they are present.
public enum SharedData {
    public static let folder: String = ProcessInfo.processInfo.environment["LOWRANK_DATA"] ?? besidePackage

    public static var isPresent: Bool { FileManager.default.fileExists(atPath: folder) }

    public static func path(_ name: String) -> String { folder + "/" + name }

    private static var besidePackage: String {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return package.deletingLastPathComponent().appendingPathComponent("shared/data").path
    }
}
