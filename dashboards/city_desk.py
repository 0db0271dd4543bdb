"""The city's desk: who waits for help, what the rules say, and whether the platform itself keeps up."""

from __future__ import annotations

from typing import Final

from dashboards.layout import PROMETHEUS_UID, Row, dashboard, source_variable
from dashboards.panels import ALERT, CALM, WARN, rates, stat, table
from dashboards.queries import promql

# Records are shared, so every process reports the same counts: the largest is the newest.
_RESCUE: Final = Row(
    "Rescue 救援",
    (
        stat("Rescues under way 救援中", promql("max(liftwatch_rescues)"), "none", steps=((None, CALM), (1, WARN))),
        stat(
            "Call-outs without answer 未应答派单",
            promql("max(liftwatch_callouts_waiting)"),
            "none",
            steps=((None, CALM), (1, WARN)),
        ),
        stat(
            "Longest wait for an answer 最长未应答",
            promql("max(liftwatch_callout_oldest_waiting_seconds)"),
            "s",
            # Ordered within one minute, accepted within three: the desk's clocks.
            steps=((None, CALM), (60, WARN), (180, ALERT)),
        ),
        stat(
            "Standing alarms 现存报警",
            promql("max(liftwatch_alarms_standing)"),
            "none",
            steps=((None, CALM), (1, WARN)),
        ),
        stat(
            "Incidents going on 进行中事件群",
            promql("max(liftwatch_incidents_open)"),
            "none",
            steps=((None, CALM), (1, WARN)),
        ),
        stat(
            "Notices not delivered 未送达通知",
            promql("max(liftwatch_notifications_given_up)"),
            "none",
            steps=((None, CALM), (1, ALERT)),
        ),
        stat(
            "Gateways online 在线网关",
            promql("sum(liftwatch_gateways_online)"),
            "none",
            steps=((None, ALERT), (1, CALM)),
        ),
        rates(
            "Rescues and alarms 救援与报警",
            "none",
            promql("max(liftwatch_rescues)", "Rescues under way 救援中"),
            promql("max(liftwatch_tickets_open)", "Open tickets 未结工单"),
            promql("max(liftwatch_alarms_standing)", "Standing alarms 现存报警"),
        ),
        rates(
            "Standing alarms by rule 各规则现存报警",
            "none",
            promql("sum by (rule) (liftwatch_rule_standing) > 0", "{{rule}}"),
            stacked=True,
        ),
        rates(
            "Standing maintenance alarms 现存维保报警",
            "none",
            promql("sum by (name) (liftwatch_maintenance_standing) > 0", "{{name}}"),
            stacked=True,
        ),
    ),
)

# Steps are the bands of ISA-18.2 and EEMUA 191 for one operator and ten minutes.
_ALARM_LOAD: Final = Row(
    "Alarm load 报警负荷",
    (
        stat(
            "Alarms per operator, 10 min 每人每十分钟报警",
            promql("max(liftwatch_alarms_per_operator)"),
            "none",
            steps=((None, CALM), (2, WARN), (10, ALERT)),
        ),
        stat(
            "Peak of a day, 10 min 一日峰值",
            promql("max(liftwatch_alarms_per_operator_peak)"),
            "none",
            steps=((None, CALM), (10, WARN), (20, ALERT)),
        ),
        stat(
            "Time in flood, a day 一日泛滥占比",
            promql("max(liftwatch_alarm_flood_share)"),
            "percentunit",
            steps=((None, CALM), (0.01, WARN), (0.05, ALERT)),
        ),
        stat(
            "Mean time to acknowledge 平均确认时间",
            promql("max(liftwatch_alarm_acknowledge_seconds)"),
            "s",
            # Our choice: with the desk's own clocks, an alarm that has waited ten minutes was not looked at.
            steps=((None, CALM), (300, WARN), (600, ALERT)),
        ),
        stat(
            "Stale alarms 滞留报警",
            promql('max(liftwatch_alarms{condition="stale"})'),
            "none",
            steps=((None, CALM), (5, WARN)),
        ),
        stat(
            "Chattering alarms 抖动报警",
            promql('max(liftwatch_alarms{condition="chattering"})'),
            "none",
            steps=((None, CALM), (1, WARN)),
        ),
        rates(
            "Standing alarms by condition 各状态报警",
            "none",
            promql("max by (condition) (liftwatch_alarms)", "{{condition}}"),
        ),
        rates(
            "Alarms per operator, 10 min 每人每十分钟报警",
            "none",
            promql("max(liftwatch_alarms_per_operator)", "Shown 已显示"),
            promql("max(liftwatch_alarms_per_operator_mean)", "Mean of a day 一日平均"),
        ),
        rates(
            "Priorities of a day (aim 80/15/5) 优先级占比",
            "percentunit",
            promql("max by (priority) (liftwatch_alarm_priority_share)", "{{priority}}"),
            promql("max(liftwatch_alarm_top_sources_share)", "Ten busiest sources 十大报警源"),
        ),
        rates("Operators 值班人数", "none", promql("max(liftwatch_operators)", "Operators 值班人数")),
    ),
)

_READINGS: Final = Row(
    "Readings 读数",
    (
        rates(
            "Readings per second 每秒读数",
            "cps",
            promql("sum(rate(liftwatch_readings_received_total[$__rate_interval]))", "Received 收到"),
            promql("sum(rate(liftwatch_readings_stored_total[$__rate_interval]))", "Stored 入库"),
            promql("sum(rate(liftwatch_engine_readings_total[$__rate_interval]))", "Seen by the rules 规则已判"),
        ),
        # All of these are zero on a quiet day; each has its own cause and cure.
        rates(
            "Readings out of the ordinary, per second 异常读数",
            "cps",
            promql("sum(rate(liftwatch_readings_duplicate_total[$__rate_interval]))", "Duplicate 重复"),
            promql("sum(rate(liftwatch_readings_refused_total[$__rate_interval]))", "Refused 拒收"),
            promql("sum(rate(liftwatch_readings_shed_total[$__rate_interval]))", "Sent back to spool 退回网关"),
            promql("sum(rate(liftwatch_engine_late_readings_total[$__rate_interval]))", "Too late for rules 迟到"),
        ),
        table(
            "Busiest gateways 最忙网关",
            promql(
                "topk(20, sum by (gateway) (rate(liftwatch_readings_received_total[5m])))",
                shape="table",
            ),
            columns={"gateway": ("Gateway 网关", ""), "Value": ("Readings/s 每秒读数", "cps")},
        ),
        table(
            "Gateways with refused messages, last hour 一小时内有拒收的网关",
            promql(
                "topk(20, sum by (gateway) (increase(liftwatch_messages_quarantined_total[1h])) > 0)",
                shape="table",
            ),
            columns={"gateway": ("Gateway 网关", ""), "Value": ("Messages 消息数", "none")},
        ),
    ),
)

# What condition monitoring is given; what it finds are alarms like any other, above.
_WEAR: Final = Row(
    "Wear 磨损",
    (
        rates(
            "Trips into condition monitoring, per second 每秒状态监测行程",
            "cps",
            promql("sum(rate(liftwatch_condition_trips_total[$__rate_interval]))", "Taken in 已采用"),
            promql("sum(rate(liftwatch_condition_trips_late_total[$__rate_interval]))", "Of a closed day 已结日"),
            promql("sum(rate(liftwatch_condition_trips_dropped_total[$__rate_interval]))", "No room 无空间"),
        ),
    ),
)

_PLATFORM: Final = Row(
    "Platform 平台",
    (
        stat("Processes up 运行进程", promql("sum(up)"), "none", steps=((None, ALERT), (1, CALM))),
        stat(
            "Store's queue 入库队列",
            promql("max(liftwatch_store_backlog_readings / liftwatch_store_backlog_readings_max)"),
            "percentunit",
            steps=((None, CALM), (0.5, WARN), (0.9, ALERT)),
        ),
        stat(
            "Alarm changes not recorded 未记录报警",
            promql("sum(liftwatch_alarm_changes_waiting)"),
            "none",
            steps=((None, CALM), (1, ALERT)),
        ),
        stat(
            "Messages in quarantine 隔离消息",
            promql("max(liftwatch_quarantined)"),
            "none",
            steps=((None, CALM), (1, WARN)),
        ),
        stat(
            "Lifts never heard 从未上报的电梯",
            promql("sum(liftwatch_lifts_never_heard)"),
            "none",
            steps=((None, CALM), (1, WARN)),
        ),
        stat(
            "Failed stores, last hour 一小时内入库失败",
            promql("sum(increase(liftwatch_store_failures_total[1h]))"),
            "none",
            steps=((None, CALM), (1, ALERT)),
        ),
        rates(
            "HTTP answers per second 每秒 HTTP 应答",
            "reqps",
            promql("sum(rate(liftwatch_http_requests_total[$__rate_interval]))", "Answers 应答"),
        ),
        rates("Open event streams 事件流连接", "none", promql("sum(liftwatch_event_readers)", "Readers 连接")),
    ),
)

CITY_DESK: Final = dashboard(
    "liftwatch-city-desk",
    "City desk 城市值班台",
    about="Rescues, alarms, readings and the platform's own health. 救援、报警、读数与平台自身状态。",
    rows=(_RESCUE, _ALARM_LOAD, _READINGS, _WEAR, _PLATFORM),
    variables=(source_variable("metrics", "Metrics 指标", kind="prometheus", uid=PROMETHEUS_UID),),
    span="6h",
)
