import CommandLineKit
import Foundation
import Jobs

/// The points of a sweep: methods × options × targets, each the command line of a compression.
///
/// Every option of `compress` that may have several values is an axis. The options of one method apply to that method
/// only. A point is parsed as the `compress` that it stands for, so it means the same and is refused in the same words.
struct SweepGrid {
    static let methods = RequiredOption(
        "methods", ValueFormat<[String]>.commaSeparated(.word(MethodRegistry.methods, placeholder: "NAME")),
        help: "How to compress: " + MethodRegistry.methods.joined(separator: ", "))

    /// Options of `compress` that are not those of a point.
    private static let own = ["output", "method", "plan", "dry-run", "resume"]
    private static let targets = TargetOptions.all.map(\.specification.name)
    /// Axes of words and numbers, with commas between values.
    private static let shared = ["storage", "allocation", "objective", "rank-multiple"]
    /// Axes of single methods, whose values may have commas: a slash between values.
    private static let special = MethodOptions.special.map(\.specification.name)

    /// Every point, in the order of methods, then options, then targets.
    private(set) var points: [SweepPoint] = []
    /// Why combinations of values were left out.
    private(set) var leftOut: [String] = []

    /// The sections of `compress`, with several values where a sweep takes them.
    static var sections: [OptionSection] {
        CompressCommand.specification.sections.compactMap { section in
            let options = section.options.filter { !own.contains($0.name) }.map(declaration)
            return options.isEmpty ? nil : OptionSection(section.title, options)
        }
    }

    private static func declaration(_ option: OptionSpecification) -> any OptionDeclaration {
        let mark = special.contains(option.name) ? "/" : ","
        guard (targets + shared + special).contains(option.name) else { return DeclaredOption(specification: option) }
        return Option(option.name, .text("\(option.value.placeholder)[\(mark)…]"), help: option.help)
    }

    // MARK: Making the points

    /// - Throws: `UsageError` or `JobError.usage` of a point; `CompressionError` of a method that can do none of its.
    init(_ arguments: ParsedArguments, checkpoint: String) throws {
        let given = Dictionary(uniqueKeysWithValues: arguments.optionWords.map { ($0.option, $0.words) })
        let methods = arguments[Self.methods]
        try Self.refuseRepeated(methods, in: "methods")
        for name in Self.special where given[name] != nil {
            guard methods.contains(where: { MethodRegistry.options(of: $0).contains(name) }) else {
                throw JobError.usage("--\(name) belongs to none of --methods \(methods.joined(separator: ","))")
            }
        }
        let passed = Self.passed(given)
        for method in methods {
            try add(method, try Self.axes(of: method, given), try Self.targets(given), passed, checkpoint)
        }
        number()
    }

    /// Words that every point has: options of `compress` that are no axes, and of text only where there is text.
    private static func passed(_ given: [String: [String]]) -> [String] {
        let text = TextOptions.section.options.map(\.name)
        let hasText = given["text"] != nil || given["tokens"] != nil
        return CompressCommand.specification.options.flatMap { option -> [String] in
            guard let words = given[option.name], !(own + targets + shared + special).contains(option.name),
                hasText || !text.contains(option.name)
            else { return [] }
            return option.arity == .flag ? [option.spelling] : words.map { "\(option.spelling)=\($0)" }
        }
    }

    /// The axes of a method with their values.
    private static func axes(
        of method: String, _ given: [String: [String]]
    ) throws -> [(name: String, values: [String])] {
        let names = shared + special.filter { MethodRegistry.options(of: method).contains($0) }
        return try names.compactMap { name in
            guard let text = given[name]?.first else { return nil }
            let values = text.split(separator: special.contains(name) ? "/" : ",", omittingEmptySubsequences: false)
                .map(String.init)
            try refuseRepeated(values, in: name)
            return (name, values)
        }
    }

    private static func targets(_ given: [String: [String]]) throws -> [(name: String, value: String)] {
        try targets.flatMap { name -> [(name: String, value: String)] in
            guard let text = given[name]?.first else { return [] }
            let values = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            try refuseRepeated(values, in: name)
            return values.map { (name, $0) }
        }
    }

    private static func refuseRepeated(_ values: [String], in option: String) throws {
        if let value = values.enumerated().first(where: { values.firstIndex(of: $1) != $0 })?.element {
            throw JobError.usage("--\(option): \"\(value)\" is listed twice")
        }
    }

    private mutating func add(
        _ method: String, _ axes: [(name: String, values: [String])], _ targets: [(name: String, value: String)],
        _ passed: [String], _ checkpoint: String
    ) throws {
        var combinations: [[(name: String, value: String)]] = [[]]
        for axis in axes {
            combinations = combinations.flatMap { earlier in axis.values.map { earlier + [(axis.name, $0)] } }
        }
        var refusal: (any Error)?
        let before = points.count
        for options in combinations {
            for target in targets.isEmpty ? [[]] : targets.map({ [$0] }) {
                let words = ["--method=\(method)"] + (options + target).map { "--\($0.name)=\($0.value)" } + passed
                let request = try Self.request(words, checkpoint)
                do {
                    _ = try MethodRegistry.compressor(method, request.settings)
                    points.append(SweepPoint(label: "", request: request, options: options))
                } catch {
                    // Values that do not go together, such as a storage that the method does not have.
                    refusal = refusal ?? error
                    leftOut.append("left out \(words.dropLast(passed.count).joined(separator: " ")): \(error)")
                    break
                }
            }
        }
        if points.count == before, let refusal { throw refusal }
    }

    private static func request(_ words: [String], _ checkpoint: String) throws -> CompressionRequest {
        // The output of a point is decided later; the parser wants one.
        let line = ["compress", "--output=point"] + words + ["--", checkpoint]
        guard case .run(_, let arguments) = try Program.specification.parse(line) else {
            preconditionFailure("a compression that is none")
        }
        var request = try CompressCommand(arguments).request
        request.commandLine = [ProgramIdentity.name, "compress", checkpoint] + words
        return request
    }

    /// Labels: the number of the point and what it is.
    private mutating func number() {
        let width = "\(points.count)".count
        points = points.enumerated().map { index, point in
            let number = "\(index + 1)"
            let options = point.options.map { Self.shared.contains($0.name) ? $0.value : "\($0.name)=\($0.value)" }
            let parts = [String(repeating: "0", count: width - number.count) + number, point.request.method]
                + options + [point.request.target.short]
            let text = parts.joined(separator: "-").map { character in
                character.isASCII && (character.isLetter || character.isNumber || "-=.,".contains(character))
                    ? character : "_"
            }
            return SweepPoint(label: String(text.prefix(100)), request: point.request, options: point.options)
        }
    }

    // MARK: Choosing points

    /// The labels that `--write` names: `all`, numbers such as `1,3-5`, or those a regular expression matches.
    /// - Throws: `JobError.usage` where it names no point, or is none of the three.
    func labels(matching selection: String) throws -> Set<String> {
        if selection == "all" { return Set(points.map(\.label)) }
        if selection.allSatisfy({ $0.isASCII && ($0.isNumber || ",-".contains($0)) }) {
            return Set(try numbers(selection).map { points[$0 - 1].label })
        }
        let pattern: Regex<AnyRegexOutput>
        do {
            pattern = try Regex(selection)
        } catch {
            throw JobError.usage(
                "--write \(selection): neither all, nor numbers such as 1,3-5, nor a regular expression")
        }
        let labels = points.map(\.label).filter { $0.contains(pattern) }
        guard !labels.isEmpty else {
            let some = points.prefix(5).map(\.label) + (points.count > 5 ? ["…"] : [])
            throw JobError.usage("--write \(selection) matches no point; they are \(some.joined(separator: ", "))")
        }
        return Set(labels)
    }

    private func numbers(_ text: String) throws -> [Int] {
        try text.split(separator: ",", omittingEmptySubsequences: false).flatMap { part -> ClosedRange<Int> in
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(ends.count), let first = ends.first ?? nil, let last = ends.last ?? nil,
                first <= last
            else { throw JobError.usage("--write \(text): expected numbers of points such as 1,3-5") }
            guard first >= 1, last <= points.count else {
                throw JobError.usage("--write \(text): there are \(points.count) points, counted from 1")
            }
            return first...last
        }
    }
}

/// An option that another command declares.
private struct DeclaredOption: OptionDeclaration {
    let specification: OptionSpecification
}
