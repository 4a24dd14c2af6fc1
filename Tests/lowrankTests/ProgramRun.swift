import Foundation

/// The built program, run as a shell runs it.
struct ProgramRun: Equatable {
    var code: Int32
    var output: String
    var errors: String

    /// Runs `lowrank`, or another program, and waits for its end.
    /// - Parameters:
    ///   - words: The command line behind the program's name.
    ///   - environment: Added to a minimal environment.
    static func of(
        _ words: [String], program: URL = buildFolder.appendingPathComponent("lowrank"),
        environment: [String: String] = [:]
    ) throws -> ProgramRun {
        let process = Process()
        process.executableURL = program
        process.arguments = words
        process.environment = ["PATH": "/usr/bin:/bin"].merging(environment) { _, new in new }
        // Files, not pipes: a pipe that is not drained in time would block a program that says much.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lowrank-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let output = try newFile(folder, "output"), errors = try newFile(folder, "errors")
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output.handle
        process.standardError = errors.handle
        try process.run()
        process.waitUntilExit()
        return ProgramRun(
            code: process.terminationStatus, output: try String(contentsOf: output.url, encoding: .utf8),
            errors: try String(contentsOf: errors.url, encoding: .utf8))
    }

    /// Starts `lowrank` and leaves it running, its words unread.
    static func start(_ words: [String], environment: [String: String] = [:]) throws -> Process {
        let process = Process()
        process.executableURL = buildFolder.appendingPathComponent("lowrank")
        process.arguments = words
        process.environment = ["PATH": "/usr/bin:/bin"].merging(environment) { _, new in new }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Words separated by single spaces.
    static func of(_ line: String, environment: [String: String] = [:]) throws -> ProgramRun {
        try of(line.split(separator: " ").map(String.init), environment: environment)
    }

    /// Where the build put the program: beside the bundle of the tests.
    static var buildFolder: URL {
        #if os(macOS)
        Bundle(for: Marker.self).bundleURL.deletingLastPathComponent()
        #else
        Bundle.main.bundleURL
        #endif
    }

    private static func newFile(_ folder: URL, _ name: String) throws -> (url: URL, handle: FileHandle) {
        let url = folder.appendingPathComponent(name)
        try Data().write(to: url)
        return (url, try FileHandle(forWritingTo: url))
    }

    private final class Marker {}
}
