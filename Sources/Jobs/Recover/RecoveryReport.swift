import CommandLineKit
import Foundation
import Kernels
import Safetensors

/// What a recovery did: the report of the compression with the errors of the new numbers, and a section of its own.
///
/// The section `recovery` has, for each stage, the held-out losses before and after every epoch: of a block ‖y − t‖² /
/// ‖t‖² of its output, of the network the divergence from the dense model in nats per token; and for each matrix fitted
/// by itself its error in the network before and after.
public struct RecoveryReport: Sendable {
    public private(set) var json: JSON

    /// What a stage gave.
    struct Stage {
        let name: String
        /// The block; nil for the network.
        let layer: Int?
        /// Held-out: before, and after each epoch.
        let losses: [Double]

        var before: Double { losses.first ?? 0 }
        /// Of the numbers that were kept.
        var after: Double { losses.min() ?? 0 }

        var json: JSON {
            var json: JSON = ["stage": JSON(name)]
            json["layer"] = layer.map { JSON($0) }
            json["loss_before"] = JSON(before)
            json["loss_after"] = JSON(after)
            json["epochs"] = JSON(max(losses.count - 1, 0))
            json["losses"] = .array(losses.map { JSON($0) })
            return json
        }
    }

    /// What the numbers of a matrix are now.
    struct Errors {
        /// ‖W − W'‖ / ‖W‖.
        let relative: Double
        /// Of storing them in their type.
        let rounding: Double
    }

    let stages: [Stage]
    private let output: String

    /// - Parameters:
    ///   - earlier: the report of the compression; nil where the folder has none.
    ///   - errors: by the name that a report has for a matrix.
    init(
        _ request: RecoveryRequest, earlier: JSON?, stages: [Stage], changes: [LayerRecovery.Change],
        errors: [(name: String, errors: Errors)], _ text: RecoveryText, parameters: Int, seconds: Double
    ) {
        self.stages = stages
        output = request.output
        var json = earlier ?? ["report_version": 1]
        json["program"] = [
            "name": JSON(ProgramIdentity.name), "version": JSON(ProgramIdentity.version),
            "isa": JSON(InstructionSet.active.rawValue), "threads": JSON(Threads.count),
        ]
        json["command"] = JSON(request.commandLine)
        // Of the numbers as they were.
        json["evaluation"] = nil
        json["tensors"] = Self.tensors(earlier, errors)
        if var totals = json["totals"] {
            totals["seconds"] = JSON(seconds)
            totals["peak_rss_bytes"] = JSON(ResourceUse.peakResidentBytes)
            json["totals"] = totals
        }
        let options = request.options.map { (key: $0.name, value: JSON($0.value)) }
        json["recovery"] = [
            "reference": JSON(URL(fileURLWithPath: request.reference).standardizedFileURL.lastPathComponent),
            "options": .object(JSONObject(options)), "trained_parameters": JSON(parameters),
            "sequences": JSON(text.training.count), "tokens": JSON(text.trainingTokens),
            "held_out_sequences": JSON(text.heldOut.count), "held_out_tokens": JSON(text.heldOutTokens),
            "matrices": .array(
                changes.map {
                    ["name": JSON($0.module), "error_before": JSON($0.before), "error_after": JSON($0.after)]
                }),
            "stages": .array(stages.map(\.json)),
        ]
        self.json = json
    }

    /// The lines of the matrices: what is measured on the new numbers is put in, what was true of the old ones is null.
    private static func tensors(_ earlier: JSON?, _ errors: [(name: String, errors: Errors)]) -> JSON {
        var lines = earlier?["tensors"]?.array ?? []
        for (name, found) in errors {
            let place = lines.firstIndex { $0["name"]?.string == name }
            var line = place.map { lines[$0] } ?? ["name": JSON(name)]
            line["relative_error"] = JSON(found.relative)
            line["rounding_error"] = JSON(found.rounding)
            line["activation_error"] = .null
            line["energy_kept"] = .null
            line["sequential_error"] = nil
            if let place { lines[place] = line } else { lines.append(line) }
        }
        return .array(lines)
    }

    /// The end of a run in a few lines.
    public var summary: String {
        var table = TextTable([.left("stage"), .right("held-out loss"), .right("after"), .right("epochs")])
        for stage in stages {
            table.add([
                stage.layer.map { "block \($0)" } ?? stage.name, Quantity.significant(stage.before, 4),
                Quantity.significant(stage.after, 4), "\(max(stage.losses.count - 1, 0))",
            ])
        }
        let recovery = json["recovery"] ?? .null
        func count(_ key: String) -> String { Quantity.grouped(recovery[key]?.int ?? 0) }
        let seconds = json["totals"]?["seconds"]?.double
        return "trained \(count("trained_parameters")) parameters on \(count("tokens")) tokens, "
            + "\(count("held_out_tokens")) held out\n\n\(table.text())\nwrote \(output)"
            + (seconds.map { " in \(Quantity.duration($0))" } ?? "")
            + ", peak memory \(ByteCount.human(ResourceUse.peakResidentBytes))\n"
    }
}
