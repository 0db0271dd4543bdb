// What the console says, in English and Chinese; the words are those of docs/glossary.md.

const WORDS = {
  rescues: ["Rescues", "救援"], alarms: ["Alarms", "报警"], incidents: ["Incidents", "事件群"],
  service: ["Out of service", "停用"], load: ["Alarm load", "报警绩效"], lifts: ["Lifts", "电梯"],
  name: ["Name", "用户名"], password: ["Password", "密码"], sign_in: ["Sign in", "登录"], sign_out: ["Sign out", "退出"],
  other_language: ["中文", "English"], help: ["Keys", "快捷键"], more: ["more", "条未显示"], close: ["Close", "关闭"], cancel_form: ["Back", "返回"],
  live: ["live", "实时"], line_lost: ["LINE LOST – what you see is old", "连接中断——显示内容已过时"],
  no_server: ["The desk's server does not answer. Call by phone until it does.", "服务器无响应，恢复前请用电话处置。"],
  keys: ["1–6 screens · j k or ↓ ↑ next, previous · / search · l language · the letter on a button presses it · Esc back",
    "1–6 切换页面 · j k 或 ↓ ↑ 下一条、上一条 · / 搜索 · l 语言 · 按钮上的字母即快捷键 · Esc 返回"],
  nothing_rescues: ["Nobody waits for help.", "当前无人等待救援。"], nothing: ["Nothing here.", "没有记录。"],
  no_screens: ["This account is not for the console.", "该账户不能使用控制台。"],
  choose: ["Choose a line on the left.", "请在左侧选择一条。"], done: ["Done", "已完成"], all: ["All", "全部"],
  what_to_do: ["What to do", "处置手册"], register: ["Register", "登记信息"], registration: ["Registration", "登记编号"], installed: ["Installed", "投用日期"], clocks: ["Clocks", "时限"],
  callouts: ["Call-outs", "派单记录"], log: ["Log", "日志"], facts: ["Facts", "详情"], history: ["History", "历史"],
  trips: ["Newest trips", "最近行程"], now: ["Now", "当前"], standing_alarms: ["Standing alarms", "未复归报警"],
  lift: ["Lift", "电梯"], firm: ["Firm", "维保单位"],
  landings: ["Landings", "层站"], model: ["Model", "型号"], gateway: ["Gateway", "网关"], district: ["District", "区"],
  rule: ["Rule", "规则"], code: ["Code", "代码"], state: ["State", "状态"],
  onset: ["Began", "开始"], raised: ["Raised", "报警"], returned: ["Returned", "复归"], evidence: ["Evidence", "依据"],
  acknowledged_by: ["Acknowledged", "确认人"], shelved_until: ["Shelved until", "搁置至"], incident: ["Incident", "事件群"],
  out_until: ["Out of service until", "停用至"], explained_by: ["Explained by", "归因于"], ticket: ["Ticket", "工单"],
  sure: ["How sure", "可信度"], confirmed: ["confirmed", "已证实"], suspected: ["suspected", "疑似"], stage: ["Stage", "阶段"],
  level: ["Level", "响应级别"], since: ["Since", "自"], due_in: ["in", "剩余"], overdue: ["overdue", "超时"], at: ["When", "时间"],
  first_out: ["first-out", "首出"], chattering: ["chattering", "抖动"], stale: ["stale", "滞留"], by: ["By", "操作人"],
  condition: ["Wear", "磨损"], in_sight: ["In sight", "可见"], shelved: ["Shelved", "已搁置"],
  suppressed: ["Suppressed", "已抑制"], hidden_out: ["Out of service", "停用"], everything: ["All, newest", "全部"],
  open_now: ["Going on", "进行中"], over: ["Over", "已结束"], under_way: ["Open", "未关闭"], closed_ones: ["Closed", "已关闭"],
  acknowledge: ["Acknowledge", "确认"], shelve: ["Shelve", "搁置"], unshelve: ["Unshelve", "取消搁置"], reset: ["Reset", "复位"],
  take_out: ["Take out of service", "停用报警"], put_back: ["Return to service", "恢复使用"], verify: ["Verify log", "校验日志"],
  report_call: ["Phone call", "电话报警"], note: ["Note", "备注"], reason: ["Reason", "原因"], minutes: ["For how long", "时长"],
  whole_lift: ["the whole lift", "整梯"], which: ["Which alarms", "哪些报警"], lifts_inside: ["Lifts inside", "涉及电梯"],
  rescues_inside: ["Rescues", "救援"], mass_event: ["mass event", "群体事件"], inside: ["Inside since", "进入"], left: ["Left", "离开"],
  intact: ["The log is as it was written; lines:", "日志完整，行数："], broken: ["THE LOG HAS BEEN CHANGED:", "日志被改动："],
  repaired: ["Repaired", "已修复"],
  new_baseline: ["The alarm ends, and from tomorrow the lift is measured against a new start.", "报警结束，自明日起以新的状态为基准。"],
  never_shelved: ["An emergency is never shelved.", "紧急报警不可搁置。"],
  never_out: ["Emergencies of the lift ring all the same.", "该电梯的紧急报警照常发出。"], answer: ["Answer", "应答"], phone: ["Phone", "电话"],
  accept_callout: ["Accept", "响应"], refuse_callout: ["Refuse", "拒绝"], people: ["People released", "解困人数"],
  cause: ["Cause", "原因"], into: ["Ticket that goes on", "并入工单"], heard: ["Last heard", "最近上报"], aim: ["Aim", "目标"],
  figure: ["Figure, last 24 hours", "指标（近24小时）"], value: ["Now", "当前值"], sources: ["Busiest sources", "最频繁来源"],
  operators: ["Operators", "值班人数"], per_operator: ["Alarms per operator in ten minutes, mean", "每人每10分钟报警数，均值"],
  peak: ["Peak in ten minutes", "10分钟峰值"], flood: ["Intervals above 10", "超过10条的时段占比"],
  top_share: ["Ten busiest sources, share", "前十来源占比"], mix: ["Low / medium / high", "低/中/高"],
  ack_time: ["Mean time to acknowledge", "平均确认时间"], city_own: ["the city's own", "由城市自定"],
  standing: ["Standing", "未复归"], shown: ["Shown", "已显示"], search: ["Code, address or name", "编号、地址或名称"],
  signal: ["Signal", "信号"], last_hour: ["last hour", "最近1小时"], last_day: ["last day", "最近1天"], last_week: ["last week", "最近7天"],
  no_readings: ["No readings in this time.", "该时段无数据。"], never: ["never", "从未"],
  needs_lift: ["Rescue code", "救援编号"], said: ["What the caller said", "来电内容"], ended: ["ended", "已结束"],
};

export const STATES = {
  unacknowledged: ["unacknowledged", "未确认"], acknowledged: ["acknowledged", "已确认"],
  returned_unacknowledged: ["returned, unacknowledged", "复归未确认"], latched_unacknowledged: ["latched, unacknowledged", "锁存未确认"],
  latched_acknowledged: ["latched, acknowledged", "锁存已确认"], shelved: ["shelved", "搁置"], suppressed: ["suppressed", "抑制"],
  out_of_service: ["out of service", "停用"], normal: ["normal", "正常"], journal: ["journal", "日志"],
};
export const PRIORITIES = { emergency: ["EMERGENCY", "紧急"], high: ["HIGH", "高"], medium: ["MEDIUM", "中"], low: ["LOW", "低"], journal: ["JOURNAL", "日志"] };
export const STAGES = {
  received: ["received", "接警"], dispatched: ["dispatched", "派单"], accepted: ["accepted", "响应"],
  en_route: ["en route", "出发"], arrived: ["arrived", "到达"], released: ["released", "解困"],
  self_released: ["self-released", "自行脱困"], false_alarm: ["false alarm", "误报"], called_back: ["called back", "回访"],
  cause_filed: ["cause filed", "原因反馈"], closed: ["closed", "关闭"], merged: ["merged", "合并"], cancelled: ["cancelled", "取消"],
};
// The verb that leads to a stage, its route's operation, its words and its key.
export const MOVES = {
  accepted: ["accept", "accept_ticket", "Accept", "响应", "a"], en_route: ["depart", "depart_ticket", "On the way", "出发", "d"],
  arrived: ["arrive", "arrive_ticket", "Arrived", "到达", "r"], released: ["release", "release_ticket", "Everyone is out", "解困", "e"],
  called_back: ["call-back", "call_back_ticket", "Called back", "回访", "b"],
  cause_filed: ["file-cause", "file_cause_ticket", "File cause", "原因反馈", "f"], closed: ["close", "close_ticket", "Close ticket", "关闭工单", "c"],
  dispatched: ["dispatch", "dispatch_ticket", "Call next level", "派单下一级", "n"],
  self_released: ["self-release", "self_release_ticket", "Got out by themselves", "自行脱困", "s"],
  false_alarm: ["false-alarm", "false_alarm_ticket", "False alarm", "误报", "x"], merged: ["merge", "merge_ticket", "Merge", "合并", "m"],
  cancelled: ["cancel", "cancel_ticket", "Cancel rescue", "取消救援", "z"],
};
export const CLOCKS = {
  answer: ["answer", "接听时限"], order: ["order", "派单时限"], accept: ["accept", "响应时限"], all_levels: ["all levels", "三级派单时限"],
  arrive: ["arrive", "到达时限"], legal_accident: ["legal accident (2 h)", "一般事故（困人两小时以上）"],
};
export const ANSWERS = {
  waiting: ["waiting", "待响应"], accepted: ["accepted", "响应"], refused: ["refused", "拒绝"],
  unanswered: ["unanswered", "超时未响应"], withdrawn: ["withdrawn", "撤回"],
};
export const SIGNS = {
  someone_in_a_standing_car: ["someone in a car that stands", "停梯有人"], alarm_button: ["alarm button pressed", "按下报警按钮"],
  controller: ["the controller reports it", "控制系统上报"],
};
// What the values of flags and choices mean; the API says it in English.
export const MEANINGS = {
  "stopped": ["stopped", "停止"], "normal": ["normal", "正常"], "inspection": ["inspection", "检修"],
  "fire return": ["fire return", "消防返回"], "firefighter": ["firefighter", "消防员运行"],
  "emergency power": ["emergency power", "应急电源运行"], "earthquake": ["earthquake", "地震模式"],
  "unknown": ["unknown", "未知"], "running": ["running", "运行"], "none": ["none", "无"], "up": ["up", "上行"],
  "down": ["down", "下行"], "outside": ["outside", "区域外"], "inside": ["inside", "区域内"],
  "not closed": ["not closed", "未到位"], "closed in place": ["closed in place", "关门到位"], "empty": ["empty", "无人"],
  "someone inside": ["someone inside", "有人"], "closing": ["closing", "关门中"], "closed": ["closed", "闭合"],
  "opening": ["opening", "开门中"], "open": ["open", "打开"], "locked": ["locked", "锁闭"], "held": ["held", "受阻未关到位"],
  "applied": ["applied", "抱闸"], "released": ["released", "松开"], "lost": ["lost", "断电"],
  "present": ["present", "有电"], "pressed": ["pressed", "按下"],
};

let chinese = (localStorage.getItem("language") ?? navigator.language ?? "").startsWith("zh");

export const language = () => (chinese ? "zh" : "en");

export function switchLanguage() {
  chinese = !chinese;
  localStorage.setItem("language", language());
}

/** Give one of a pair of words by the language chosen. */
export const pick = (pair) => pair[chinese ? 1 : 0];

/** Say something of the console's own; a word it does not know shows as itself. */
export const say = (word) => (WORDS[word] ? pick(WORDS[word]) : word.replaceAll("_", " "));

/** Say something of a table above. */
export const told = (table, name) => (table[name] ? pick(table[name]) : String(name).replaceAll("_", " "));
