import CommandLineKit
import Foundation
import Jobs
import Safetensors
import TestSupport

/// A folder of its own for one test, with jobs in it.
final class Workplace {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    var path: String { folder.path }

    /// The path of a name in this folder.
    func at(_ name: String) -> String { folder.at(name) }

    /// Writes a file, and the folders above it.
    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        let file = at(name)
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }

    /// Every file below a name with its content; an empty folder is listed with a slash.
    func content(of name: String = "") throws -> [String: String] {
        var content: [String: String] = [:]
        for item in try FileManager.default.subpathsOfDirectory(atPath: at(name)) {
            var isFolder: ObjCBool = false
            let path = at("\(name)/\(item)")
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
            if isFolder.boolValue {
                if try FileManager.default.contentsOfDirectory(atPath: path).isEmpty { content[item + "/"] = "" }
            } else {
                content[item] = try String(contentsOfFile: path, encoding: .utf8)
            }
        }
        return content
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: at(name)) }

    /// Copies a folder that a run is writing to, as a kill would leave it.
    ///
    /// A file may get its name while the folder is copied; then once more.
    /// - Returns: what was wrong with the last attempt; nil once one has succeeded.
    static func snapshot(of folder: String, to copy: String) -> (any Error)? {
        var failure: (any Error)?
        for _ in 0..<100 {
            do {
                try FileManager.default.copyItem(atPath: folder, toPath: copy)
                return nil
            } catch {
                failure = error
                try? FileManager.default.removeItem(atPath: copy)
            }
        }
        return failure
    }
}

/// A job of four units, each a small file; the output is all of them and their sum.
struct CountingJob {
    var request: OutputRequest
    var options = ["keep": "0.6"]
    /// Called before each unit with its index and the staging folder.
    var beforeUnit: (Int, StagedOutput) throws -> Void = { _, _ in }

    static let result = ["0.txt": "0", "1.txt": "1", "2.txt": "4", "3.txt": "9", "sum.txt": "14"]

    var fingerprint: RunFingerprint {
        RunFingerprint(inputs: ["model": "1"], options: options, instructionSet: "baseline")
    }

    /// - Returns: How many units this run did itself.
    func run() throws -> Int {
        try StagedOutput.write(request, resumable: fingerprint) { staged in
            var done = 0, sum = 0
            for index in 0..<4 {
                if let record = try staged.journal.record(of: "unit/\(index)") {
                    sum += record["square"]?.int ?? 0
                } else {
                    try beforeUnit(index, staged)
                    try AtomicFile.write("\(index * index)", to: staged.journal.dataPath(of: "unit/\(index)", ".txt"))
                    try staged.journal.finish("unit/\(index)", record: ["square": JSON(index * index)])
                    sum += index * index
                    done += 1
                }
                let path = staged.journal.dataPath(of: "unit/\(index)", ".txt")
                try AtomicFile.write(String(contentsOfFile: path, encoding: .utf8), to: "\(staged.path)/\(index).txt")
            }
            try AtomicFile.write("\(sum)", to: "\(staged.path)/sum.txt")
            return done
        }
    }

    /// The exit code and message of a run that must fail; nil if it does not.
    func failure() -> Failure? {
        do {
            _ = try run()
            return nil
        } catch {
            return Failure(explaining: error)
        }
    }
}
