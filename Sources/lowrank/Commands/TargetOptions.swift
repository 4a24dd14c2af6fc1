import CommandLineKit
import Jobs
import Planning

/// The one target of a compression: how much to keep.
enum TargetOptions {
    private static let open = Bound.exclusive(0), one = Bound.inclusive(1)

    static let keep = Option(
        "keep", .number("F", from: open, to: one), help: "Keep this fraction of the parameters of every selected matrix"
    )
    static let remove = Option(
        "remove", .number("F", from: .inclusive(0), to: .exclusive(1)), help: "Remove this fraction: --keep 1-F")
    static let rank = Option("rank", .integer("R", from: 1), help: "Rank of every matrix")
    static let parameters = Option(
        "target-params", .count("N"), help: "At most N parameters in the whole output, such as 5.6B")
    static let bytes = Option(
        "target-size", .bytes("SIZE"), help: "At most SIZE of weight files in the whole output, such as 4.5GB")
    static let energy = Option(
        "energy", .number("F", from: open, to: one), help: "Keep this share of the squared singular values")
    static let maximumError = Option(
        "max-error", .number("F", from: open, to: .exclusive(1)), help: "Relative error of every matrix is at most F")

    static let plan = Option(
        "plan", .file("FILE"), help: "Do with every matrix what plan.json says; `lowrank plan` writes one")

    static let all: [any OptionDeclaration] = [keep, remove, rank, parameters, bytes, energy, maximumError]
    static let exclusion = Exclusion("target", all + [plan])

    /// - Throws: `JobError.usage` if there is no target, not even among the options of the method; parsing has refused
    ///   two.
    static func target(_ arguments: ParsedArguments) throws -> Target {
        if let fraction = arguments[keep] { return .keep(fraction) }
        if let fraction = arguments[remove] {
            // To twelve digits, so that --remove 0.4 is --keep 0.6 to the bit.
            return .keep(((1 - fraction) * 1e12).rounded() / 1e12)
        }
        if let rank = arguments[rank] { return .rank(rank) }
        if let count = arguments[parameters] { return .parameters(count) }
        if let count = arguments[bytes] { return .bytes(count) }
        if let share = arguments[energy] { return .energy(share) }
        if let bound = arguments[maximumError] { return .error(bound) }
        if arguments[plan] != nil {
            let decided = SelectionOptions.all + MethodOptions.planned
            if let option = decided.first(where: { arguments.isGiven($0) }) {
                throw JobError.usage(
                    "--\(option.specification.name) and --plan exclude each other: the plan decides it")
            }
            return .plan
        }
        let method = arguments[MethodOptions.method]
        let given = MethodOptions.settings(arguments).values
        let sizes = MethodRegistry.sizeOptions(of: method)
        if sizes.contains(where: { given[$0] != nil }) { return .options }
        throw JobError.usage(
            "no target is given; give one of \(all.map(\.specification.spelling).joined(separator: ", "))")
    }
}

/// Which matrices to compress.
enum SelectionOptions {
    static let include = OptionList(
        "include", .pattern(), style: .repeated, help: "Only linear layers whose module name matches")
    static let exclude = OptionList(
        "exclude", .pattern(), style: .repeated, help: "Not these layers; wins over --include")
    static let layers = Option(
        "layers",
        ValueFormat(
            "LIST", expectation: "blocks such as 4-27, first:4, last:4 or 1,5,9", parse: { LayerSelection($0) }),
        help: "Only these blocks, counted from 0: 4-27, first:4, last:4 or 1,5,9")

    static let all: [any OptionDeclaration] = [include, exclude, layers]

    static func selection(_ arguments: ParsedArguments) -> ModuleSelection {
        ModuleSelection(
            include: arguments[include], exclude: arguments[exclude], layers: arguments[layers])
    }
}
