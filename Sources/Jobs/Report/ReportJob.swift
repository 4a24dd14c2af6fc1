import CommandLineKit
import Foundation
import Reporting
import Safetensors

/// Renders a report.json or a sweep.json again, as a page or as Markdown.
public struct ReportJob: Sendable {
    public var input: String
    /// Ends in `.html` for a page, in `.md` for Markdown.
    public var output: String
    /// What the recommended result of a sweep must keep to.
    public var limit: SweepLimit?
    public var force: Bool

    public init(input: String, output: String, limit: SweepLimit? = nil, force: Bool = false) {
        self.input = input
        self.output = output
        self.limit = limit
        self.force = force
    }

    /// What a page or Markdown was made of.
    public struct Result: Sendable {
        /// The report in one line; of a sweep the recommended result, where a limit is stated.
        public let summary: String?
        /// Whether there is a result that keeps to the limit, if one is stated.
        public let isLimitKept: Bool
    }

    public func run() throws -> Result {
        let form = (output as NSString).pathExtension.lowercased()
        guard form == "html" || form == "md" else {
            throw JobError.usage("\(output) should end in .html for a page or in .md for Markdown")
        }
        let request = OutputRequest(output, kind: .file, inputs: [input], force: force)
        try request.validate()
        let document = try JSON.parse(file: input)
        let isSweep = document["sweep_version"] != nil
        if isSweep && form == "md" {
            throw JobError.usage("a sweep has a page only; give an output that ends in .html")
        }
        if !isSweep && limit != nil {
            throw JobError.usage("limits are for a sweep, and \(input) is the report of one run")
        }
        return try Failure.naming(file: input, tensor: nil) {
            let text =
                isSweep
                ? try SweepPage.html(from: document, limit: limit)
                : form == "md" ? try CompressionMarkdown.text(from: document) : try CompressionPage.html(from: document)
            try StagedOutput.write(request, resumable: nil) { try AtomicFile.write(text, to: $0.path) }
            guard isSweep else {
                return Result(summary: try CompressionMarkdown.line(from: document), isLimitKept: true)
            }
            let found = try limit.map { try SweepPage.recommendation(from: document, limit: $0) }
            return Result(summary: found?.line, isLimitKept: found?.isFound ?? true)
        }
    }
}
