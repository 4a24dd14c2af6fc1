import CommandLineKit
import Safetensors

/// What the points of a sweep will be, as far as shapes tell.
public struct SweepPreview: Sendable {
    /// A line a point.
    public let text: String
    /// `{"points": [{"label", "method", "target", "parameters", "file_bytes", "command"}]}`
    public let json: JSON

    init(_ plan: SweepPlan) throws {
        var table = TextTable([.left("point", shrinks: true), .right("parameters"), .right("file bytes")])
        var points: [JSON] = []
        for point in plan.points {
            let totals = try point.prepared.totals()
            table.add([
                point.point.label, totals.map { Quantity.grouped($0.parameters) } ?? "?",
                totals.map { Quantity.grouped($0.fileBytes) } ?? "?",
            ])
            points.append([
                "label": JSON(point.point.label), "method": JSON(point.point.request.method),
                "target": JSON(point.point.request.target.short),
                "parameters": totals.map { JSON($0.parameters) } ?? .null,
                "file_bytes": totals.map { JSON($0.fileBytes) } ?? .null,
                "command": JSON(point.point.request.commandLine),
            ])
        }
        text = table.text()
        json = ["points": .array(points)]
    }
}

extension SweepJob {
    /// The points, without writing a file.
    public func dryRun(progress: any ProgressReporter = SilentProgress()) throws -> SweepPreview {
        try OutputRequest(request.output, inputs: [request.checkpoint], force: true).validate()
        return try SweepPreview(try SweepPlan(request, progress, .never))
    }
}
