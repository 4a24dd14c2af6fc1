import CommandLineKit
import Foundation
import Safetensors

/// Writes a finished part: its description, its tensors in one file, and what was measured.
///
///     part.json          PartDescription
///     part.safetensors   the tensors of its groups, under the names that they have in the output
///     report.json        seconds, memory, the path of the checkpoint, and the record of every module
struct PartWriter {
    static let tensorName = "part.safetensors"
    static let reportName = "report.json"

    let part: PartDescription
    /// As the user gave it.
    let checkpoint: String
    let results: [ModuleResult]
    let interruption: Interruption

    /// - Parameter tensorFiles: for every group of this part the file with its tensors.
    func write(
        to folder: String, tensorFiles: [String?], progress: any ProgressReporter, run: () -> RunFacts
    ) throws -> PartReport {
        let files = OpenFiles()
        let resultOfModule = Dictionary(uniqueKeysWithValues: results.map { ($0.name, $0) })
        var declarations: [TensorDeclaration] = []
        var origins: [String: String] = [:]
        for (group, path) in zip(part.ownGroups, tensorFiles) {
            for name in group.modules.flatMap({ resultOfModule[$0]?.tensors ?? [] }) {
                guard let path, let tensor = try files.file(at: path).tensor(named: name) else {
                    throw JobError.badInput("the tensor \(name) of a finished matrix is gone from the journal")
                }
                declarations.append(TensorDeclaration(name: name, dtype: tensor.dtype, shape: tensor.shape))
                origins[name] = path
            }
        }
        progress.begin(ProgressStage("write", total: declarations.count, unit: .items("tensors")))
        let writer = try SafetensorsWriter(
            path: folder + "/" + Self.tensorName, tensors: declarations, durability: .deferred)
        for tensor in writer.layout {
            try interruption.check()
            guard let path = origins[tensor.name] else { preconditionFailure("a tensor that was not declared") }
            let file = try files.file(at: path)
            try file.bytes(of: tensor.name).withUnsafeBytes { try writer.append($0, to: tensor.name) }
            file.dropPages(of: tensor.name)
            progress.advance(by: 1, tensor.name)
        }
        try writer.finish()
        progress.end()
        let report = PartReport(
            part: part, results: results, bytes: writer.byteCount, run: run(),
            checkpoint: URL(fileURLWithPath: checkpoint).standardizedFileURL.path)
        try AtomicFile.write(
            part.json.text(pretty: true), to: folder + "/" + PartDescription.fileName, durability: .deferred)
        try AtomicFile.write(
            report.json.text(pretty: true), to: folder + "/" + Self.reportName, durability: .deferred)
        return report
    }
}

/// What one part of a compression did.
public struct PartReport: Sendable {
    public let json: JSON
    public let text: String

    init(part: PartDescription, results: [ModuleResult], bytes: Int, run: RunFacts, checkpoint: String) {
        json = [
            "part": JSON(part.shard.index), "parts": JSON(part.shard.count), "checkpoint": JSON(checkpoint),
            "command": JSON(run.commandLine), "threads": JSON(run.threads), "seconds": JSON(run.seconds),
            "peak_rss_bytes": JSON(run.peakResidentBytes), "bytes": JSON(bytes),
            "modules": .array(results.map(\.record)),
        ]
        let total = part.outline.groups.reduce(0) { $0 + $1.count }
        text = """
            part \(part.shard): \(results.count) of \(total) selected matrices in \(Quantity.duration(run.seconds)), \
            \(ByteCount.human(bytes)); lowrank merge joins the parts

            """
    }
}
