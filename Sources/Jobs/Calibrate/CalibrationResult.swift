import CommandLineKit
import Safetensors
import Statistics

/// What a calibration wrote.
public struct CalibrationResult: Sendable {
    public let output: String
    public let header: StatisticsHeader
    /// The text of this run.
    public let run: CalibrationRun
    /// Size of the file.
    public let bytes: Int
    public let seconds: Double

    public var json: JSON {
        var json = run.json
        json["output"] = JSON(output)
        json["inputs"] = JSON(header.inputs.count)
        json["modules"] = JSON(header.inputs.reduce(0) { $0 + $1.modules.count })
        json["runs"] = JSON(header.runs.count)
        json["precision"] = JSON(header.precision.rawValue)
        json["model_fingerprint"] = JSON(header.modelFingerprint)
        json["bytes"] = JSON(bytes)
        json["seconds"] = JSON(seconds)
        json["peak_rss_bytes"] = JSON(ResourceUse.peakResidentBytes)
        return json
    }

    public var text: String {
        let modules = header.inputs.reduce(0) { $0 + $1.modules.count }
        return """
            \(header.inputs.count) inputs of \(modules) linear layers over \(Quantity.grouped(run.tokens)) tokens in \
            \(Quantity.grouped(run.windows)) windows of up to \(run.context), BOS \(run.bos)
            token hash \(run.tokenSHA256)
            wrote \(output): \(ByteCount.human(bytes)) in \(Quantity.duration(seconds)), peak memory \
            \(ByteCount.human(ResourceUse.peakResidentBytes))
            """ + (header.runs.count > 1 ? "\nit now holds \(header.runs.count) runs" : "")
    }
}
