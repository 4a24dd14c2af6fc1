import Foundation
import Planning
import Safetensors

/// What is decided of a compression before its first matrix, as far as its end needs it: to put the output together,
/// and to report.
///
/// A part of a compression that is divided over machines carries it along, and parts fit together if theirs are equal.
struct CompressionOutline: Equatable {
    /// A limit of the whole output.
    enum Limit: Equatable {
        case parameters(Int)
        case bytes(Int)
    }

    struct Option: Equatable {
        let name: String
        let value: String
    }

    /// The name of the source's folder.
    let sourceName: String
    /// The method of all groups, or "mixed".
    let method: String
    /// As a user writes it.
    let target: String
    let limit: Limit?
    let options: [Option]
    let maximumShardBytes: Int
    /// The modules of every group, in the order of the plan.
    let groups: [[String]]

    init(_ request: CompressionRequest, _ plan: CompressionPlan) {
        sourceName = URL(fileURLWithPath: request.checkpoint).standardizedFileURL.lastPathComponent
        method = plan.method
        target = "\(plan.target)"
        limit =
            switch plan.target {
            case .parameters(let count): .parameters(count)
            case .bytes(let count): .bytes(count)
            default: nil
            }
        options = request.options.map { Option(name: $0.name, value: $0.value) }
        maximumShardBytes = request.maximumShardBytes
        groups = plan.groups.map { $0.modules.map(\.module.name) }
    }

    /// A target of a size is never exceeded; the plan sees to it, and this would show where it did not.
    func checkTarget(_ report: CompressionReport) throws {
        switch limit {
        case .parameters(let limit)? where report.parameters > limit:
            throw JobError.numericFailure("the result has \(report.parameters) parameters, above \(target)")
        case .bytes(let limit)? where report.bytes > limit:
            throw JobError.numericFailure("the result has \(report.bytes) bytes, above \(target)")
        default:
            break
        }
    }
}

extension CompressionOutline {
    var json: JSON {
        var json: JSON = [
            "source": JSON(sourceName), "method": JSON(method), "target": JSON(target),
            "options": .object(JSONObject(options.map { (key: $0.name, value: JSON($0.value)) })),
            "max_shard_size": JSON(maximumShardBytes), "groups": .array(groups.map { JSON($0) }),
        ]
        switch limit {
        case .parameters(let count)?: json["limit_parameters"] = JSON(count)
        case .bytes(let count)?: json["limit_bytes"] = JSON(count)
        case nil: break
        }
        return json
    }

    /// nil where the document is none.
    init?(_ json: JSON) {
        guard let sourceName = json["source"]?.string, let method = json["method"]?.string,
            let target = json["target"]?.string, let options = json["options"]?.object,
            let maximumShardBytes = json["max_shard_size"]?.int, let groups = json["groups"]?.array
        else { return nil }
        self.sourceName = sourceName
        self.method = method
        self.target = target
        self.options = options.entries.map { Option(name: $0.key, value: $0.value.string ?? "") }
        self.maximumShardBytes = maximumShardBytes
        self.groups = groups.map { $0.array?.compactMap(\.string) ?? [] }
        if let count = json["limit_parameters"]?.int {
            limit = .parameters(count)
        } else {
            limit = json["limit_bytes"]?.int.map { .bytes($0) }
        }
    }
}
