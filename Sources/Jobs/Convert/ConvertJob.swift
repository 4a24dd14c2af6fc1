import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Kernels
import MatrixCore
import Safetensors

/// Writes a compressed folder again with its low-rank matrices stored the other way, as factors or by pivots.
///
/// Between these two nothing is lost but rounding, and going back to what was there gives the same bits. Matrices of
/// other schemas that are products of two thin ones become such factors too; those that are not are copied as they are.
public struct ConvertJob: Sendable {
    public var input: String
    public var output: String
    public var storage: MethodSettings.Storage
    /// The checkpoint that the errors in the report are measured against again; nil to state the earlier errors.
    public var reference: String?
    public var maximumShardBytes: Int
    public var force: Bool

    public init(
        input: String, output: String, storage: MethodSettings.Storage, reference: String? = nil,
        maximumShardBytes: Int = CompressionRequest.defaultShardBytes, force: Bool = false
    ) {
        self.input = input
        self.output = output
        self.storage = storage
        self.reference = reference
        self.maximumShardBytes = maximumShardBytes
        self.force = force
    }

    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> ConversionResult {
        let request = OutputRequest(output, inputs: [input] + [reference].compactMap { $0 }, force: force)
        try request.validate()
        let checkpoint = try Checkpoint(path: input)
        for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
        guard checkpoint.isCompressed else {
            throw JobError.badInput("\(input) is not a compressed folder; compress writes one", file: input)
        }
        let layout = try ConvertedLayout(checkpoint, storage: storage)
        guard !layout.forms.isEmpty else {
            throw JobError.badInput(
                "none of its \(layout.others.count) compressed matrices (\(layout.otherSchemas)) is a product of two "
                    + "thin ones, so there is nothing to convert; reconstruct gives the dense checkpoint", file: input)
        }
        let originals = try reference.map { Originals(try Checkpoint(path: $0)) }
        try SpaceCheck.require(bytes: layout.byteCount, at: output)
        return try StagedOutput.write(request, resumable: nil) { staged in
            let writer = try CheckpointWriter(
                folder: staged.path, config: layout.config, tensors: layout.tensors.map(\.declaration),
                maximumShardBytes: maximumShardBytes)
            var result = ConversionResult(
                forms: layout.forms.count, others: (layout.others.count, layout.otherSchemas),
                bytes: writer.tensorBytes)
            progress.begin(ProgressStage("convert", total: layout.forms.count, unit: .items("matrices")))
            for form in layout.forms {
                try interruption.check()
                let (converted, change) = try Failure.naming(file: input, tensor: form.module.name) {
                    try form.converted(in: checkpoint)
                }
                for tensor in converted.tensors {
                    try tensor.tensor.withUnsafeBytes {
                        try writer.append($0, to: tensor.fullName(in: form.module.name))
                    }
                }
                let weight = try originals?.weight(of: form.module.name)
                result.add(
                    form, converted, change: change, error: weight.map { relativeError(of: $0, replacedBy: converted) })
                progress.advance(by: 1, form.module.name)
            }
            for case (let declaration, let original?) in layout.tensors {
                try interruption.check()
                try writer.append(try checkpoint.bytes(of: original), to: declaration.name)
                checkpoint.dropPages(of: original)
            }
            try writer.finish()
            progress.end()
            for file in try checkpoint.filesToCopy() {
                try StagedFile.write(try OpenFile.contents(of: input + "/" + file), as: file, in: staged.path)
            }
            if let report = try report(result, writer, layout) { try ReportFiles.write(report, to: staged.path) }
            return result
        }
    }

    /// The report of the input with what the conversion changed; nil where the input has none.
    private func report(
        _ result: ConversionResult, _ writer: CheckpointWriter, _ layout: ConvertedLayout
    ) throws -> JSON? {
        guard FileManager.default.fileExists(atPath: input + "/report.json") else { return nil }
        var report = try JSON.parse(file: input + "/report.json")
        guard report["report_version"]?.int == 1, var totals = report["totals"] else { return nil }
        let dense = report["totals"]?["dense_parameters"]?.int ?? 0
        var saved = 0
        var macs = 0
        let tensors = (report["tensors"]?.array ?? []).map { tensor -> JSON in
            guard let line = tensor["name"]?.string.flatMap({ result.lines[$0] }) else { return tensor }
            saved += (tensor["parameters"]?.int ?? 0) - line.parameters
            macs += (tensor["macs"]?.int ?? 0) - line.macs
            return line.updated(tensor)
        }
        let selected = tensors.reduce(0) { $0 + ($1["shape"]?.array?.compactMap(\.int).reduce(1, *) ?? 0) }
        let kept = tensors.reduce(0) { $0 + ($1["parameters"]?.int ?? 0) }
        let parameters = (totals["parameters"]?.int ?? 0) - saved
        totals["parameters"] = JSON(parameters)
        totals["bytes"] = JSON(writer.tensorBytes)
        totals["macs"] = JSON((totals["macs"]?.int ?? 0) - macs)
        totals["keep_compressed"] = JSON(Double(kept) / Double(max(selected, 1)))
        totals["keep_model"] = JSON(Double(parameters) / Double(max(dense, 1)))
        report["totals"] = totals
        // Of the numbers as they were rounded before.
        report["evaluation"] = nil
        report["tensors"] = .array(tensors)
        report["converted_to"] = JSON(storage.rawValue)
        return report
    }
}
